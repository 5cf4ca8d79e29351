from multiprocessing import get_context

spawn = get_context("spawn")  # the only start method of Windows


def greet(queue, name):
    print("the child puts a long answer into the queue")
    queue.put(f"hello {name}" * 100_000)


if __name__ == "__main__":
    queue = spawn.Queue()
    child = spawn.Process(target=greet, args=(queue, "Ada"))
    child.start()
    print("its answer:", len(queue.get()), "letters")
    child.join()
    print("the child has ended, exit code", child.exitcode)
