import os

source = 10
ear, mouth = os.pipe()
child = os.fork()
if child == 0:
    os.read(ear, 1)  # wait until the parent has changed its source
    print("child: ", source, flush=True)
    source = 99
    os._exit(0)
source -= 1
print("parent:", source, flush=True)
os.write(mouth, b"!")
os.waitpid(child, 0)
print("parent, after the child wrote 99:", source)
