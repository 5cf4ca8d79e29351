import os
import sys
import traceback

source = 10
sys.stdout.flush()  # nothing in the buffer that could be copied
pid = os.fork()
if pid == 0:
    try:
        print("child: ", pid, source)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # whatever happens, the child goes no further
os.waitpid(pid, 0)
source -= 1
print("parent:", source)
print("save the result:", source)
