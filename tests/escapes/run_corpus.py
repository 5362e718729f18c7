#!/usr/bin/env python3
"""Runs the escape corpus against a proxy, or a bare server: see README.md. Python alone, without libraries."""
import socket, struct, ssl, hashlib, hmac, base64, os, re, time, urllib.parse

class ConnClosed(Exception): pass
class AuthError(Exception):
    def __init__(s, fields): super().__init__(fields.get('M','?')); s.fields = fields

def parse_dsn(dsn):
    d = {'host':'127.0.0.1','port':'5432','user':'postgres','dbname':None,'password':None,'sslmode':'prefer'}
    if dsn.startswith(('postgres://','postgresql://')):
        u = urllib.parse.urlsplit(dsn)
        if u.hostname: d['host'] = u.hostname
        if u.port: d['port'] = str(u.port)
        if u.username: d['user'] = urllib.parse.unquote(u.username)
        if u.password: d['password'] = urllib.parse.unquote(u.password)
        if u.path.strip('/'): d['dbname'] = urllib.parse.unquote(u.path.strip('/'))
        for k,v in urllib.parse.parse_qsl(u.query): d[k]=v
    else:
        for m in re.finditer(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", dsn):
            v = m.group(2)
            if v.startswith("'"): v = re.sub(r'\\(.)', r'\1', v[1:-1])
            d[m.group(1)] = v
    if not d['dbname']: d['dbname'] = d['user']
    return d

def msg(t, body=b''):
    return (t.encode() if t else b'') + struct.pack('!I', len(body)+4) + body
def cstr(s):
    return (s if isinstance(s, bytes) else s.encode('utf-8')) + b'\0'

SALTED={}
def salt(pw,s,i):
    if (pw,s,i) not in SALTED: SALTED[pw,s,i]=hashlib.pbkdf2_hmac('sha256',pw,base64.b64decode(s),i)
    return SALTED[pw,s,i]

class Result:
    def __init__(s):
        s.rows=[]; s.errors=[]; s.notices=[]; s.notifies=[]; s.tags=[]; s.tx=None; s.closed=False; s.params={}; s.cols=[]; s.msgs=[]; s.copy=b''
    @property
    def err(s): return s.errors[0] if s.errors else None
    @property
    def sqlstate(s): return s.errors[0].get('C') if s.errors else None
    def text(s):
        out=[]
        for r in s.rows: out.append('|'.join('' if c is None else c.decode('utf-8','replace') for c in r))
        for e in s.errors+s.notices: out.append(' / '.join(f'{k}={v}' for k,v in e.items()))
        for n in s.notifies: out.append('NOTIFY '+'|'.join(map(str,n)))
        out.append(s.copy.decode('utf-8','replace'))
        return '\n'.join(out)
    def brief(s):
        o=[]
        if s.tags: o.append('tags='+','.join(s.tags))
        if s.rows: o.append('rows='+str(len(s.rows))+':'+';'.join('|'.join('NULL' if c is None else c.decode('utf-8','replace')[:120] for c in r) for r in s.rows[:4]))
        if s.copy: o.append('copy='+s.copy[:100].decode('utf-8','replace'))
        for e in s.errors: o.append(f"ERR {e.get('C')} {e.get('M')}"+(f" DETAIL {e['D']}" if 'D' in e else ''))
        for n in s.notices: o.append(f"{n.get('S')} {n.get('M')}")
        for n in s.notifies: o.append(f"NOTIFY {n}")
        if s.closed: o.append('CLOSED')
        return ' ; '.join(o) or 'ok(empty)'

class Raw:
    def __init__(s, dsn, startup=None, timeout=15, connect=True, no_default_params=False):
        s.d = parse_dsn(dsn) if isinstance(dsn,str) else dict(dsn)
        s.timeout=timeout; s.buf=b''; s.params={}; s.key=None; s.tx=None; s.log=[]
        s.startup = startup or []
        if isinstance(s.startup, dict): s.startup=list(s.startup.items())
        if connect: s.connect()
    def connect(s):
        h=s.d['host']; p=int(s.d['port'])
        if h.startswith('/'):
            s.sock=socket.socket(socket.AF_UNIX); s.sock.settimeout(s.timeout); s.sock.connect(f"{h}/.s.PGSQL.{p}")
        else:
            s.sock=socket.create_connection((h,p),timeout=s.timeout); s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY,1)
        sm=s.d.get('sslmode','prefer')
        if sm!='disable' and not h.startswith('/'):
            s.sock.sendall(struct.pack('!II',8,80877103))
            r=s.sock.recv(1)
            if r==b'S':
                ctx=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); ctx.check_hostname=False; ctx.verify_mode=ssl.CERT_NONE
                if s.d.get('sslcert'): ctx.load_cert_chain(s.d['sslcert'], s.d['sslkey'])
                if s.d.get('sslrootcert'): ctx.load_verify_locations(s.d['sslrootcert'])
                s.sock=ctx.wrap_socket(s.sock, server_hostname=h if not re.match(r'^[\d.]+$',h) else None)
            elif sm in('require','verify-ca','verify-full'): raise ConnClosed('server refused TLS')
        params=[('user',s.d['user']),('database',s.d['dbname'])]+list(s.startup)
        body=struct.pack('!I',196608)+b''.join(cstr(k)+cstr(v) for k,v in params)+b'\0'
        s.sock.sendall(struct.pack('!I',len(body)+4)+body)
        s._auth()
    def _auth(s):
        while True:
            t,b=s.read()
            if t=='E': raise AuthError(s._err(b))
            if t=='R':
                code=struct.unpack('!I',b[:4])[0]
                if code==0: continue
                pw=(s.d.get('password') or '').encode()
                if code==3: s.send(msg('p',cstr(pw)))
                elif code==5:
                    i=hashlib.md5(pw+s.d['user'].encode()).hexdigest().encode()
                    s.send(msg('p',cstr(b'md5'+hashlib.md5(i+b[4:8]).hexdigest().encode())))
                elif code==10:
                    s.cnonce=base64.b64encode(os.urandom(18)).decode(); s.bare=f'n=,r={s.cnonce}'
                    f=('n,,'+s.bare).encode()
                    s.send(msg('p',cstr('SCRAM-SHA-256')+struct.pack('!I',len(f))+f))
                elif code==11:
                    sf=b[4:].decode(); a=dict(x.split('=',1) for x in sf.split(','))
                    salted=salt(pw,a['s'],int(a['i']))
                    ck=hmac.new(salted,b'Client Key','sha256').digest(); sk=hashlib.sha256(ck).digest()
                    wo=f"c=biws,r={a['r']}"; am=f'{s.bare},{sf},{wo}'.encode()
                    sig=hmac.new(sk,am,'sha256').digest(); proof=bytes(x^y for x,y in zip(ck,sig))
                    s.send(msg('p',f'{wo},p={base64.b64encode(proof).decode()}'.encode()))
                elif code==12: pass
                else: raise AuthError({'M':f'auth method {code} unsupported'})
            elif t=='S':
                k,v=b.split(b'\0')[:2]; s.params[k.decode()]=v.decode('utf-8','replace')
            elif t=='K': s.key=(struct.unpack('!I',b[:4])[0], b[4:])
            elif t=='Z': s.tx=b.decode(); return
    def send(s,b):
        try: s.sock.sendall(b)
        except OSError as e: raise ConnClosed(str(e))
    def read(s, timeout=None):
        s.sock.settimeout(s.timeout if timeout is None else timeout)
        def need(n):
            while len(s.buf)<n:
                try: d=s.sock.recv(65536)
                except (ConnectionError, ssl.SSLError) as e:
                    if isinstance(e,(TimeoutError,)): raise
                    raise ConnClosed(str(e))
                if not d: raise ConnClosed('eof')
                s.buf+=d
        need(5); t=chr(s.buf[0]); ln=struct.unpack('!I',s.buf[1:5])[0]; need(ln+1)
        b=s.buf[5:ln+1]; s.buf=s.buf[ln+1:]; return t,b
    @staticmethod
    def _err(b):
        f={}
        for part in b.split(b'\0'):
            if part: f[chr(part[0])]=part[1:].decode('utf-8','replace')
        return f
    def collect(s, r=None, until='Z', n=1, timeout=None, copydata=None):
        """read until n ReadyForQuery"""
        r=r or Result()
        try:
            while True:
                t,b=s.read(timeout); r.msgs.append(t)
                if t=='E':
                    e=s._err(b); r.errors.append(e)
                elif t=='N': r.notices.append(s._err(b))
                elif t=='A':
                    pid=struct.unpack('!I',b[:4])[0]; ch,pl=b[4:].split(b'\0')[:2]; r.notifies.append((pid,ch.decode(),pl.decode()))
                elif t=='D':
                    nc=struct.unpack('!H',b[:2])[0]; o=2; row=[]
                    for _ in range(nc):
                        l=struct.unpack('!i',b[o:o+4])[0]; o+=4
                        if l<0: row.append(None)
                        else: row.append(b[o:o+l]); o+=l
                    r.rows.append(row)
                elif t=='V':
                    l=struct.unpack('!i',b[:4])[0]; r.rows.append([None if l<0 else b[4:4+l]])
                elif t=='C': r.tags.append(b[:-1].decode())
                elif t=='d': r.copy+=b
                elif t=='G':
                    if copydata is not None: s.send(msg('d',copydata)+msg('c'))
                    else: s.send(msg('f',cstr('no data')))
                elif t=='S':
                    k,v=b.split(b'\0')[:2]; s.params[k.decode()]=v.decode('utf-8','replace'); r.params[k.decode()]=v.decode('utf-8','replace')
                elif t=='Z':
                    s.tx=r.tx=b.decode(); n-=1
                    if n<=0: return r
        except ConnClosed: r.closed=True; return r
        except (TimeoutError, socket.timeout):
            r.errors.append({'S':'TIMEOUT','C':'TIMEOUT','M':'client side timeout'}); r.closed=True; return r
    def q(s, sql, copydata=None, timeout=None):
        s.send(msg('Q',cstr(sql))); return s.collect(copydata=copydata,timeout=timeout)
    @staticmethod
    def m_parse(name, sql, oids=()): return msg('P',cstr(name)+cstr(sql)+struct.pack('!H',len(oids))+b''.join(struct.pack('!I',o) for o in oids))
    @staticmethod
    def m_bind(portal, stmt, params=(), fmts=()):
        b=cstr(portal)+cstr(stmt)+struct.pack('!H',len(fmts))+b''.join(struct.pack('!H',f) for f in fmts)+struct.pack('!H',len(params))
        for p in params:
            if p is None: b+=struct.pack('!i',-1)
            else:
                p=p if isinstance(p,bytes) else str(p).encode(); b+=struct.pack('!i',len(p))+p
        return msg('B',b+struct.pack('!H',0))
    @staticmethod
    def m_desc(kind,name=''): return msg('D',kind.encode()+cstr(name))
    @staticmethod
    def m_exec(portal='',maxrows=0): return msg('E',cstr(portal)+struct.pack('!I',maxrows))
    @staticmethod
    def m_close(kind,name=''): return msg('C',kind.encode()+cstr(name))
    @staticmethod
    def m_sync(): return msg('S')
    @staticmethod
    def m_flush(): return msg('H')
    @staticmethod
    def m_func(oid,args):
        b=struct.pack('!IHH',oid,1,0)+struct.pack('!H',len(args))
        for a in args:
            if a is None: b+=struct.pack('!i',-1)
            else:
                a=a if isinstance(a,bytes) else str(a).encode(); b+=struct.pack('!i',len(a))+a
        return msg('F',b+struct.pack('!H',0))
    def ext(s, sql, params=(), name='', copydata=None, timeout=None):
        s.send(s.m_parse(name,sql)+s.m_bind('',name,params)+s.m_desc('P')+s.m_exec()+s.m_sync())
        return s.collect(copydata=copydata,timeout=timeout)
    def fcall(s, oid, args): s.send(s.m_func(oid,args)); return s.collect()
    def close(s):
        try: s.sock.sendall(msg('X')); s.sock.close()
        except Exception: pass

# ============================================================================ runner
import sys, json, argparse, collections, importlib.util

A='aaaaaaaa-0000-4000-8000-000000000001'; B='bbbbbbbb-0000-4000-8000-000000000002'
ORG={'a':A,'b':B}; SCHEMA={'a':'tenant_a','b':'tenant_b'}
CANARY={'a':'CANARYB','b':'CANARYA'}          # what a tenant must never see
GUC='session.current_organization_id'
PROBE={'rls':{'a':f"SELECT count(*) FILTER (WHERE organization_id <> '{A}'), count(*) FILTER (WHERE organization_id = '{A}') FROM public.wellness_entries",
              'b':f"SELECT count(*) FILTER (WHERE organization_id <> '{B}'), count(*) FILTER (WHERE organization_id = '{B}') FROM public.wellness_entries"},
       'schema':{'a':"SELECT count(*) FILTER (WHERE note LIKE 'CANARY'||'B%'), count(*) FILTER (WHERE note LIKE 'CANARY'||'A%') FROM wellness_entries",
                 'b':"SELECT count(*) FILTER (WHERE note LIKE 'CANARY'||'A%'), count(*) FILTER (WHERE note LIKE 'CANARY'||'B%') FROM wellness_entries"}}
FPR={'tenantlab':f"SELECT md5(coalesce(string_agg(x,'|' ORDER BY x),'')) FROM (SELECT t::text x FROM wellness_entries t WHERE organization_id='{B}' UNION ALL SELECT t::text FROM users t WHERE organization_id='{B}' UNION ALL SELECT t::text FROM organizations t WHERE id='{B}') s",
     'schemalab':"SELECT md5(coalesce(string_agg(x,'|' ORDER BY x),'')) FROM (SELECT t::text x FROM tenant_b.wellness_entries t UNION ALL SELECT t::text FROM tenant_b.users t) s"}
FPALL={'tenantlab':"SELECT md5(coalesce(string_agg(x,'|' ORDER BY x),'')) FROM (SELECT t::text x FROM wellness_entries t UNION ALL SELECT t::text FROM users t UNION ALL SELECT t::text FROM organizations t UNION ALL SELECT organization_id||msg FROM audit_log t UNION ALL SELECT t::text FROM app.prefs t UNION ALL SELECT t::text FROM gaps.nullok t UNION ALL SELECT t::text FROM gaps.select_only_policy t) s",
       'schemalab':"SELECT md5(coalesce(string_agg(x,'|' ORDER BY x),'')) FROM (SELECT t::text x FROM tenant_b.wellness_entries t UNION ALL SELECT t::text FROM tenant_b.users t UNION ALL SELECT t::text FROM tenant_a.wellness_entries t) s"}

def expand(x):
    if isinstance(x,str): return re.sub(r'@REP:(\d+):(.*?)@', lambda m: m.group(2)*int(m.group(1)), x, flags=re.S).replace('@BACKEND_PORT@', str(CTX.super_port))
    if isinstance(x,list): return [expand(y) for y in x]
    if isinstance(x,dict): return {k:expand(v) for k,v in x.items()}
    return x
class CTX: super_port=5432

def split_seed(path):
    """yields (kind, text): kind in 'c' (connect), 'sql', and data blocks as ('data',[...])"""
    db=None; data=None; out=[]; buf=''
    for line in open(path):
        if line.startswith('--') or not line.strip(): continue
        if line.startswith('\\c '): out.append(('c',line.split()[1])); continue
        if line.startswith('\\data'): data=[]; continue
        if line.startswith('\\enddata'): out.append(('data',data)); data=None; continue
        st=line.strip().rstrip(';')
        if line.rstrip().endswith('$$;'): st=line.strip()[:-1]
        (data if data is not None else out).append(st if data is not None else ('sql',st))
    return out

class Super:
    def __init__(s,dsn): s.d=parse_dsn(dsn); s.c={}; CTX.super_port=s.d['port']
    def conn(s,db):
        if db not in s.c: s.c[db]=Raw(dict(s.d,dbname=db),timeout=60)
        return s.c[db]
    def q(s,db,sql):
        r=s.conn(db).q(sql)
        if r.closed: s.c.pop(db,None)
        return r
    def val(s,db,sql):
        r=s.q(db,sql)
        if r.errors: raise RuntimeError(f'superuser query failed: {r.brief()} :: {sql[:100]}')
        return r.rows[0][0].decode() if r.rows and r.rows[0][0] is not None else None
    def seed(s,path):
        db='postgres'
        for c in list(s.c.values()): c.close()
        s.c={}
        for k,v in split_seed(path):
            if k=='c': db=v; continue
            for st in (v if k=='data' else [v]):
                r=s.q(db,st)
                if r.errors and not st.startswith('CREATE EXTENSION'): raise SystemExit(f'seed failed in {db}: {r.brief()} :: {st[:120]}')
    def load_data(s,path):
        db=None; s.data={}
        for k,v in split_seed(path):
            if k=='c': db=v
            if k=='data': s.data[db]=v
        s.fp={d:s.val(d,FPR[d]) for d in FPR}; s.fpall={d:s.val(d,FPALL[d]) for d in FPALL}
        s.pw=s.val('postgres',"SELECT rolpassword FROM pg_authid WHERE rolname='wellness_app'")
    def integrity(s,db): return s.val(db,FPR[db])==s.fp[db]
    def restore(s,db,dirty):
        if s.val(db,FPALL[db])!=s.fpall[db]:
            if db=='tenantlab':
                s.q(db,"DROP TRIGGER IF EXISTS x ON gaps.no_rls"); s.q(db,"TRUNCATE organizations, users, wellness_entries, audit_log, app.prefs, gaps.part, gaps.parent, gaps.child, gaps.no_rls, gaps.policy_but_disabled, gaps.select_only_policy, gaps.or_policy, gaps.nullok, gaps.big RESTART IDENTITY CASCADE")
            else: s.q(db,"TRUNCATE tenant_a.wellness_entries, tenant_b.wellness_entries, tenant_a.users, tenant_b.users")
            for st in s.data[db]: s.q(db,st)
            if s.val(db,FPALL[db])!=s.fpall[db]: s.fpall[db]=s.val(db,FPALL[db])
        if dirty:
            for st in ("ALTER ROLE wellness_app RESET ALL","ALTER ROLE wellness_app IN DATABASE tenantlab RESET ALL","ALTER ROLE tenant_a_app RESET ALL","DO $$BEGIN ALTER ROLE row_a_app RESET search_path; EXCEPTION WHEN undefined_object THEN NULL; END$$",f"ALTER ROLE wellness_app PASSWORD '{s.pw}'" if s.pw else "SELECT 1","ALTER DEFAULT PRIVILEGES FOR ROLE wellness_app REVOKE SELECT ON TABLES FROM PUBLIC"): s.q(db,st)
        s.q(db,"SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        r=s.q(db,"SELECT gid FROM pg_prepared_xacts WHERE database=current_database()")
        for x in r.rows: s.q(db,f"ROLLBACK PREPARED '{x[0].decode()}'")

class Target:
    """where client connections come from"""
    def __init__(s,args,sup):
        s.a=args; s.sup=sup; s.inj=None
        if args.injector:
            f,fn=args.injector.rsplit(':',1); sp=importlib.util.spec_from_file_location('inj',f); m=importlib.util.module_from_spec(sp); sp.loader.exec_module(m); s.inj=getattr(m,fn)
    def dsn(s,mode,t):
        a=s.a
        if a.direct:
            d=parse_dsn(a.direct); d['dbname']='tenantlab' if mode=='rls' else 'schemalab'
            if mode=='schema' and a.direct_schema_roles: d['user']=f'tenant_{t}_app'; d['password']='app'
            return d
        x={('rls','a'):a.proxy,('rls','b'):a.proxy_b,('schema','a'):a.proxy_schema,('schema','b'):a.proxy_schema_b}[(mode,t)]
        return parse_dsn(x) if x else None
    def open(s,mode,t,startup=None):
        d=s.dsn(mode,t)
        if d is None: raise LookupError(f'no DSN for mode {mode} tenant {t}')
        c=Raw(d,startup=startup,timeout=s.a.timeout)
        if s.a.direct: s.inject(c,mode,t)
        return c
    def inject(s,c,mode,t):
        if s.inj: return s.inj(c,mode,ORG[t],SCHEMA[t])
        c.q(f"SET {GUC} = '{ORG[t]}'" if mode=='rls' else f"SET search_path = {SCHEMA[t]}")

def build(m):
    k=m[0]
    if k=='P': return Raw.m_parse(m[1],m[2])
    if k=='Phex': return msg('P',cstr(m[1])+bytes.fromhex(m[2])+b'\0'+b'\0\0')
    if k=='B': return Raw.m_bind(m[1],m[2],m[3])
    if k=='E': return Raw.m_exec(m[1],m[2] if len(m)>2 else 0)
    if k=='S': return Raw.m_sync()
    if k=='H': return Raw.m_flush()
    if k=='Q': return msg('Q',cstr(m[1]))
    if k=='C': return Raw.m_close(m[1],m[2])
    if k=='D': return Raw.m_desc(m[1],m[2])
    if k=='d': return msg('d',m[1].encode())
    if k=='c': return msg('c')
    if k=='f': return msg('f',cstr(m[1]))
    if k=='hex': return bytes.fromhex(m[1])
    if k=='hexmsg': return msg(m[1],bytes.fromhex(m[2]))
    raise ValueError(k)

BYE=msg('X')

class Run:
    def __init__(s,case,tgt,sup,args):
        s.c=expand(case); s.t=tgt; s.sup=sup; s.a=args; s.mode=case['mode']; s.db='tenantlab' if s.mode=='rls' else 'schemalab'
        s.conns={}; s.phys=None; s.cur=None; s.breach=[]; s.errs=[]; s.broken=[]; s.ctxlost=None; s.dropped=False; s.log=[]; s.down=False; s.bye=False
    # -- connections
    def conn(s,label):
        t=label[0]; pooled=s.c.get('pooled')
        if s.a.direct and pooled and not (s.mode=='schema' and s.a.direct_schema_roles):
            if s.phys is None or s.phys.dead: s.phys=s._open(t); s.cur=label
            elif s.cur!=label:
                if getattr(s.phys,'pending',0): s.phys.collect(n=s.phys.pending); s.phys.pending=0
                if s.phys.tx!='I': s.phys.q('ROLLBACK')
                for q in {'none':[],'reset':['RESET ALL'],'discard':['DISCARD ALL']}[s.a.handoff]: s.phys.q(q)
                s.t.inject(s.phys,s.mode,t); s.cur=label
            return s.phys
        if pooled and not s.a.direct and not s.a.keep_open and s.cur and s.cur!=label and s.cur in s.conns:
            s.conns.pop(s.cur).close(); time.sleep(s.a.settle)
        s.cur=label
        if label not in s.conns or s.conns[label].dead: s.conns[label]=s._open(t)
        return s.conns[label]
    def _open(s,t,startup=None):
        c=s.t.open(s.mode,t,startup); c.dead=False; return c
    def note(s,label,what,r):
        t=label[0]; txt=r.text(); s.log.append(f'  {label}> {str(what)[:160]}\n      {r.brief()[:300]}')
        if t in CANARY and CANARY[t] in txt: s.breach.append(f'{label} saw {CANARY[t]}: {txt[max(0,txt.find(CANARY[t])-30):][:90]!r}')
        if t=='a':
            for e in r.errors: s.errs.append((e.get('C'),e.get('M','')[:100]))
            if r.closed and not r.errors and not s.bye: s.dropped=True
            if s.c.get('a_must_not'):
                for row in r.rows:
                    for v in row:
                        if v is not None and re.search(s.c['a_must_not'],v.decode('utf-8','replace')): s.breach.append(f"{label} got {v[:60]!r}")
            if s.c.get('breach_regex') and r.rows and any(re.search(s.c['breach_regex'],(v or b'').decode('utf-8','replace')) for row in r.rows for v in row): s.breach.append('breach_regex '+s.c['breach_regex'])
            if s.c.get('breach_sqlstate') and r.sqlstate==s.c['breach_sqlstate']: s.breach.append('oracle sqlstate '+r.sqlstate)
    def send(s,c,item,proto):
        if isinstance(item,dict) and 'f' in item: return c.fcall(item['oid'],item['args'])
        if isinstance(item,dict) and 'hex' in item: return c.q(bytes.fromhex(item['hex']))
        sql=item['q'] if isinstance(item,dict) else item; copy=item.get('copy') if isinstance(item,dict) else None
        copy=copy.encode() if copy is not None else None
        if proto=='extended': return c.ext(sql,item.get('params',()) if isinstance(item,dict) else (),copydata=copy)
        return c.q(sql,copydata=copy)
    # -- steps
    def step(s,st):
        lab=st['c']; op=st['op']
        if op=='close':
            if lab in s.conns: s.conns.pop(lab).close(); time.sleep(s.a.settle)
            return
        if op=='cancel':
            c=s.conn(st['target']); pid,key=c.key or (1,b'\0\0\0\1')
            try:
                k=socket.create_connection((c.d['host'],int(c.d['port'])),timeout=3); k.sendall(struct.pack('!IIII',16,80877102,pid,0xdeadbeef)); k.close()
            except OSError: pass
            return
        if op=='nocode':
            r=s.last.get(lab)
            if r is not None and r.sqlstate==st['code']: s.breach.append(f'{lab} harmed: {r.brief()[:80]}')
            return
        if op in('noerror','mustfail'):
            r=s.last.get(lab)
            if op=='noerror' and r is not None and (r.errors or r.closed): s.breach.append(f'{lab} harmed: {r.brief()[:80]}')
            if op=='mustfail' and r is not None and not r.errors and not r.closed: s.breach.append(f'{lab} should have failed: {r.brief()[:80]}')
            return
        try: c=s.conn(lab)
        except (AuthError,ConnClosed,OSError) as e:
            if lab[0]=='b': s.breach.append(f'{lab} cannot connect: {e}')
            else: s.errs.append(('CONN',str(e)[:80]))
            return
        rs=[]
        try:
            if op=='q':
                for q in (st['sql'] if isinstance(st['sql'],list) else [st['sql']]):
                    r=s.send(c,q,'simple'); rs.append(r); s.note(lab,q,r)
                    if r.closed: break
            elif op=='raw':
                b=b''.join(build(m) for m in st['msgs']); s.bye=b.endswith(BYE)
                if b: c.send(b)
                if st['zs']: r=c.collect(n=st['zs'],timeout=st.get('timeout')); c.pending=0
                else: r=Result(); c.pending=getattr(c,'pending',0)+1
                rs.append(r); s.note(lab,[m[:2] for m in st['msgs']],r)
        except ConnClosed as e:
            r=Result(); r.closed=True; rs.append(r)
            if lab[0]=='a': s.dropped=True
        r=rs[-1]; s.last[lab]=r
        if r.closed: c.dead=True
        out='\n'.join('|'.join('' if v is None else v.decode('utf-8','replace') for v in row) for row in r.rows)
        for key in('expect','expect_a'):
            if key in st:
                bad=not re.search(st[key],out,re.M)
                if key=='expect_a':
                    if bad and r.rows: (s.broken if s.c['expected']=='allowed' else s.breach).append(f'{lab}: {out[:60]!r} does not match {st[key]}')
                    elif bad and s.c['expected']=='allowed': s.broken.append(f'{lab}: {r.brief()[:80]}')
                elif bad and (r.rows or lab[0]=='b' or st.get('strict')): s.breach.append(f'{lab}: expected {st[key]!r}, got {r.brief()[:80]}')
    def whole(s):
        """Can all server connections be had at the same time?"""
        held=[]
        for n in range(s.a.pool):
            t='ab'[n%2]
            try: d=s.t.open(s.mode,t); held.append(d); d.send(msg('Q',cstr('BEGIN')))
            except LookupError: continue
            except (AuthError,ConnClosed,OSError) as e: s.breach.append(f'the pool is not whole: {t}: {e}'); s.down=True; break
        for n,d in enumerate(held):
            r=d.collect()
            if r.errors or r.closed: s.breach.append(f'the pool is not whole: connection {n+1} of {s.a.pool}: {r.brief()[:80]}'); s.down=True; break
        for d in held:
            if d.tx=='T': d.q('COMMIT')
            d.close()
    def run(s):
        c=s.c; s.last={}; main=None
        try:
            if c['protocol']=='multi':
                for st in c['steps']: s.step(st)
                main=next((x for l,x in s.conns.items() if l[0]=='a' and not x.dead),None)
                if s.a.direct and c.get('pooled') and s.phys is not None: main=s.phys if (s.phys is not None and not s.phys.dead and s.cur and s.cur[0]=='a') else None
            else:
                try: main=s._open('a',c.get('startup')); s.conns['a1']=main
                except AuthError as e: s.errs.append((e.fields.get('C'),str(e)[:100])); main=None
                except ConnClosed as e: s.errs.append(('CLOSED',str(e))); s.dropped=True; main=None
                if main is not None:
                    for q in c.get('setup',[]): main.q(q)
                    for q in c['sql']:
                        r=s.send(main,q,c['protocol']); s.note('a1',q,r)
                        if r.closed: main.dead=True; break
        except LookupError as e: return 'SKIP',str(e)
        # probes
        if main is not None and not main.dead:
            try:
                if getattr(main,'pending',0): main.collect(n=main.pending)
                if main.tx!='I': main.q('ROLLBACK')
                if c.get('check'):
                    r=main.q(c['check'])
                    if r.rows and r.rows[0][0] not in (None,b'f',b'0'): s.breach.append('check: '+r.brief()[:80])
                r=main.q(PROBE[s.mode]['a'])
                if r.errors: s.ctxlost=r.brief()[:90]
                elif r.rows:
                    f,o=int(r.rows[0][0]),int(r.rows[0][1])
                    if f>0: s.breach.append(f'same connection now sees {f} foreign rows')
                    elif o==0: s.ctxlost='own rows invisible'
                elif r.closed: s.dropped=True
            except ConnClosed: s.dropped=True
        if c.get('check_super'):
            if c['check_super']=='@PWCHANGED@': v='t' if s.sup.val('postgres',"SELECT rolpassword FROM pg_authid WHERE rolname='wellness_app'")!=s.sup.pw else 'f'
            else: v=s.sup.val(s.db,c['check_super'])
            if v in('t','true') : s.breach.append('server state changed: '+c['check_super'][:70])
        for x in list(s.conns.values())+([s.phys] if s.phys is not None else []): x.close()
        if not s.a.direct and not c.get('persistent'):
            time.sleep(s.a.settle)
            for t in 'ab':                      # does the pool still give everybody exactly their own rows?
                try: d=s.t.open(s.mode,t)
                except LookupError: continue
                except (AuthError,ConnClosed,OSError) as e: s.breach.append(f'fresh {t} connection fails: {e}'); s.down=True; continue
                r=d.q(PROBE[s.mode][t]); d.close(); want=5 if t=='a' else 7
                if r.errors: s.breach.append(f'fresh {t} connection: {r.brief()[:80]}')
                elif r.rows and int(r.rows[0][0])>0: s.breach.append(f'fresh {t} connection sees foreign rows: {r.brief()[:60]}')
        if not s.a.direct and (not s.breach or c.get('persistent')): s.whole()
        if not s.sup.integrity(s.db): s.breach.append("B's rows were modified")
        s.sup.restore(s.db,c.get('dirty'))
        # verdict
        if s.breach: return ('MINOR' if c.get('minor') else 'BREACH'),'; '.join(s.breach[:3])
        if c['expected']=='allowed':
            if s.errs and not c.get('expect_error_ok'): return ('REFUSED' if c.get('undecidable') else 'BROKEN'),f'{s.errs[0]}'
            if s.broken: return 'BROKEN',s.broken[0]
            if s.dropped: return 'BROKEN','connection dropped'
            if s.ctxlost and not c.get('undecidable'): return 'CTXLOST',s.ctxlost
            return 'OK',''
        if s.ctxlost and c.get('need_ctx') : return 'CTXLOST',s.ctxlost
        if s.dropped and not s.errs: return 'DROPPED','connection closed without an ErrorResponse'
        if s.errs: return 'REJECTED',f'{s.errs[-1][0]} {s.errs[-1][1]}'
        if s.ctxlost: return 'CTXLOST',s.ctxlost
        return 'NOEFFECT',''

def main():
    ap=argparse.ArgumentParser(description='Tenant-escape corpus runner. Exit 1 on any breach (or broken benign case unless --lenient).')
    ap.add_argument('--proxy',help="DSN of the proxy with tenant A's credentials (database for the RLS layout)"); ap.add_argument('--proxy-b',help="same, tenant B"); ap.add_argument('--proxy-schema',help='tenant A, schema-per-tenant database'); ap.add_argument('--proxy-schema-b')
    ap.add_argument('--direct',help='no proxy: DSN of the pool role on the raw server; the runner itself sets the tenant context'); ap.add_argument('--direct-schema-roles',action='store_true',help='direct schema mode logs in as tenant_a_app / tenant_b_app')
    ap.add_argument('--handoff',choices=['none','reset','discard'],default='none',help='direct mode: what a pooler runs between tenants'); ap.add_argument('--injector',help='direct mode: FILE.py:function(conn, mode, org_uuid, schema) that sets the context')
    ap.add_argument('--super',required=True,dest='sup',help='superuser DSN, direct'); ap.add_argument('--seed',action='store_true',help='(re)create databases tenantlab, schemalab and the roles'); ap.add_argument('--seed-file',default=os.path.join(os.path.dirname(os.path.abspath(__file__)),'seed.sql')); ap.add_argument('--post-seed',help='SQL file run in tenantlab after seeding'); ap.add_argument('--seed-only',action='store_true')
    ap.add_argument('--corpus',nargs='+',default=[os.path.join(os.path.dirname(os.path.abspath(__file__)),f) for f in('corpus.jsonl','sequences.jsonl')]); ap.add_argument('--pool',type=int,default=1,help='pool.size of the proxy: cases that need a larger one are left out'); ap.add_argument('--need',type=int,default=1,help='only cases that need a pool of at least this size'); ap.add_argument('--tiers',default='core,pool,channel,dbctx,benign',help='of core,pool,channel,dbctx,schema,benign'); ap.add_argument('--only',help='regex on id or category')
    ap.add_argument('--keep-open',action='store_true',help='pooled cases keep both clients connected (transaction pooling)'); ap.add_argument('--settle',type=float,default=0.03); ap.add_argument('--timeout',type=float,default=10); ap.add_argument('--json',help='write one result per line'); ap.add_argument('-v',action='store_true'); ap.add_argument('-q',action='store_true'); ap.add_argument('--lenient',action='store_true',help='exit 0 even when benign SQL breaks')
    a=ap.parse_args()
    if not a.proxy and not a.direct and not a.seed_only: ap.error('--proxy or --direct')
    if a.direct: a.pool=99
    sup=Super(a.sup)
    if a.seed:
        sup.seed(a.seed_file)
        if a.post_seed:
            for st in open(a.post_seed).read().split('\n--;;\n'):
                r=sup.q('tenantlab',st)
                if r.errors: raise SystemExit(f'post-seed: {r.brief()} :: {st[:120]}')
    if a.seed_only: return 0
    sup.load_data(a.seed_file); ver=int(sup.val('postgres','SHOW server_version_num'))//10000
    feats={x[0].decode() for x in sup.q('tenantlab','SELECT extname FROM pg_extension').rows}
    if int(sup.val('postgres','SHOW max_prepared_transactions'))>0: feats.add('2pc')
    tgt=Target(a,sup); tiers=set(a.tiers.split(',')); tally=collections.Counter(); bytier=collections.defaultdict(collections.Counter); out=open(a.json,'w',buffering=1) if a.json else None; t0=time.time(); n=0
    if not a.direct:                            # preflight: does every credential see exactly its own rows?
        for mode in('rls','schema'):
            for t in 'ab':
                if tgt.dsn(mode,t) is None: continue
                try: d=tgt.open(mode,t); r=d.q(PROBE[mode][t]); d.close()
                except (AuthError,ConnClosed,OSError) as e: print(f'preflight {mode}/{t}: cannot connect: {e}'); return 2
                if r.errors or not r.rows or [int(x) for x in r.rows[0]]!=[0,5 if t=='a' else 7]: print(f'preflight {mode}/{t}: expected 0 foreign and {5 if t=="a" else 7} own rows, got {r.brief()[:120]}'); return 2
    down=0
    for line in (line for corpus in a.corpus for line in open(corpus)):
        c=json.loads(line)
        if not a.need<=c.get('pool',1)<=a.pool: continue
        if c['tier'] not in tiers or (a.only and not re.search(a.only,c['id']+' '+c['category'])): continue
        if min(c['pg'])>ver: v,why='SKIP',f"needs PG{min(c['pg'])}"
        elif not set(c.get('requires',[]))<=feats: v,why='SKIP','needs '+','.join(c['requires'])
        else:
            r=Run(c,tgt,sup,a)
            try: v,why=r.run()
            except LookupError as e: v,why='SKIP',str(e)
            except (AuthError,ConnClosed,OSError) as e: v,why='ERROR',f'{type(e).__name__} {e}'
            down=down+1 if r.down or v=='ERROR' else 0
            if down>=5: print('five cases in a row could not reach the proxy afterwards: it is down, giving up'); return 2
        n+=1; bytier[c['tier']][v]+=1
        flag={'BREACH':'!!','BROKEN':'xx','CTXLOST':'--','DROPPED':'??','ERROR':'EE'}.get(v,'  ')
        if not a.q and (a.v or flag.strip()): print(f"{flag} {v:9}{c['tier']:8}{c['id']:30} {why[:150]}",flush=True)
        if a.v and v not in('SKIP',): print('\n'.join(r.log))
        if out: out.write(json.dumps({'id':c['id'],'category':c['category'],'tier':c['tier'],'expected':c['expected'],'verdict':v,'why':why[:300]})+'\n')
    print(f"\nPostgreSQL {ver}, {n} cases, {time.time()-t0:.0f} s")
    cols=['BREACH','MINOR','CTXLOST','REJECTED','NOEFFECT','DROPPED','OK','BROKEN','REFUSED','SKIP','ERROR']
    print(f"{'tier':10}"+''.join(f'{x:>10}' for x in cols))
    for t in('core','pool','channel','dbctx','schema','benign'):
        if t in bytier: print(f"{t:10}"+''.join(f'{bytier[t][x]:>10}' for x in cols))
    breaches=sum(bytier[t]['BREACH'] for t in bytier if t!='schema'); broken=sum(bytier[t][x] for t in bytier for x in('BROKEN',)) + bytier['benign']['CTXLOST']; err=sum(b['ERROR'] for b in bytier.values())
    print(f"breaches {breaches} (schema-gap findings {bytier['schema']['BREACH']} not counted), benign broken {broken}, runner errors {err}")
    return 1 if breaches or err or (broken and not a.lenient) else 0
if __name__=='__main__': sys.exit(main())
