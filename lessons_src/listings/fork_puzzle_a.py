# Program A
import os

from lessons_src.fork import wait_for_children

os.fork()
os.fork()
print("done")
wait_for_children()
