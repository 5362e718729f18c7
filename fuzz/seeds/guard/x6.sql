SELECT $a$ ' /* $a$, U&'\0041' UESCAPE '!', E'\x41', 'a'
'b' /* /* */ */ -- x