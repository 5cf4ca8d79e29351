import mmap
import os
from multiprocessing import Value

plain = [10]
page = mmap.mmap(-1, 1)
page[0] = 10
value = Value("i", 10)
child = os.fork()
if child == 0:
    plain[0] = page[0] = value.value = 9
    os._exit(0)
os.waitpid(child, 0)
print("list ", plain[0])
print("mmap ", page[0])
print("Value", value.value)
