import os

from lessons_src.fork import count_primes

child = os.fork()
if child == 0:
    os._exit(count_primes(50, 100))
mine = count_primes(0, 50)
_, status = os.waitpid(child, 0)
theirs = os.waitstatus_to_exitcode(status)
print(mine, "+", theirs, "=", mine + theirs, "primes below 100")
