import os

print("start", end=" ")
child = os.fork()
if child == 0:
    print("child")
else:
    os.waitpid(child, 0)
    print("parent")
