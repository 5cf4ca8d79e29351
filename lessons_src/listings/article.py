from multiprocessing import freeze_support, get_context

spawn = get_context("spawn")  # the only start method of Windows


def greet(queue, name):
    queue.put(f"hello {name}")


freeze_support()
queue = spawn.Queue()
child = spawn.Process(target=greet, args=(queue, "Ada"))
child.start()
child.join()
print("the child has ended, exit code", child.exitcode)
print("its answer:", queue.get())
