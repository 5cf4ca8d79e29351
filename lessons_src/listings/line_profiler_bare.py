@profile
def add_up(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


print("total:", add_up([3, 4, 5]))
