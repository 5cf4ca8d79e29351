import math

from multiprocess import get_context


def triple(number):
    return 3 * number


def circle_area(radius):
    return math.pi * radius**2


with get_context("spawn").Pool(1) as pool:
    print("triple(14) is", pool.apply(triple, [14]))
    try:
        print("circle_area(1) is", pool.apply(circle_area, [1]))
    except NameError:
        print("circle_area(1) raised NameError")
