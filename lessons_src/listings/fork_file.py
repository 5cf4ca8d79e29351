import os
from tempfile import TemporaryFile

with TemporaryFile(buffering=0) as file:
    child = os.fork()
    if child == 0:
        file.write(b"child")
        os._exit(0)
    os.waitpid(child, 0)
    print("place in the parent's file:", file.tell())
    file.write(b"parent")
    file.seek(0)
    print(file.read().decode())
