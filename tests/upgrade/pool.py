# Works on a pool of psycopg's, until standard input ends; at each line of it, until some
# more transactions are done. Then it says how many have failed.
import sys
import threading
import time

from psycopg_pool import ConnectionPool

done = failures = 0
stop = False
lock = threading.Lock()


def work(pool):
    global done, failures
    while not stop:
        try:
            with pool.connection() as connection:
                connection.execute("SELECT count(*) FROM wellness_entries").fetchone()
            with lock:
                done += 1
        except Exception as error:
            print(error, file=sys.stderr)
            with lock:
                failures += 1
        time.sleep(0.005)


with ConnectionPool(
    sys.argv[1], min_size=4, max_size=4, check=ConnectionPool.check_connection, timeout=60
) as pool:
    threads = [threading.Thread(target=work, args=(pool,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in sys.stdin:
        before = done
        while done < before + 50:
            time.sleep(0.01)
        print("done", flush=True)
    stop = True
    for thread in threads:
        thread.join()
print(f"failures: {failures}")
