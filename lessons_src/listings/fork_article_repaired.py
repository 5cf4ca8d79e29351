import os
import sys

source = 10
sys.stdout.flush()  # nothing in the buffer that could be copied
pid = os.fork()
if pid == 0:
    try:
        print("child: ", pid, source)
        sys.stdout.flush()
    finally:
        os._exit(0)  # whatever happens, the child goes no further
os.waitpid(pid, 0)
source -= 1
print("parent:", source)
print("save the result:", source)
