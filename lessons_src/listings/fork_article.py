import os

source = 10
pid = os.fork()
if pid == 0:
    print("child: ", pid, source)
else:
    os.waitpid(pid, 0)
    source -= 1
    print("parent:", source)
print("save the result:", source)
