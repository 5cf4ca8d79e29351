from threading import Thread


def call(host):
    raise ConnectionError(f"{host} does not answer")


thread = Thread(target=call, args=("oslo",))
thread.start()
thread.join()
print("all calls done")
