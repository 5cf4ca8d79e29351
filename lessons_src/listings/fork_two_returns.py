import os

print("before: one process", flush=True)
number = os.fork()
if number == 0:
    who = "the child, fork gave me 0"
else:
    os.waitpid(number, 0)  # let the child speak first
    who = f"the parent, fork gave me the child's id: {number > 0}"
print("after:", who)
