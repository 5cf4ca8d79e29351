from threading import Event

from lessons_src.thread_subclasses import MyThread


class CityThread(MyThread):
    def __init__(self, num, city):
        self.looked = Event()
        super().__init__(num)
        self.looked.wait(20)  # here the new thread is the quicker one
        self.city = city

    def run(self):
        try:
            print(self.num, self.city)
        finally:
            self.looked.set()


thread = CityThread(45, "Oslo")
thread.join()
print("main goes on, and now there is", thread.city)
