import faulthandler
from threading import Barrier, Lock, Thread

ada, ben = Lock(), Lock()
meet = Barrier(3)


def ada_pays_ben():
    with ada:
        meet.wait()
        with ben:
            print("Ada has paid")


def ben_pays_ada():
    with ben:
        meet.wait()
        with ada:
            print("Ben has paid")


Thread(target=ada_pays_ben).start()
Thread(target=ben_pays_ada).start()
meet.wait()
faulthandler.dump_traceback_later(2, exit=True)
