"""How far a text that was read is from the true one."""


def edit_distance(text: str, truth: str) -> int:
    """The fewest digits to insert, remove or change that make one text of another.

    V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet Physics Doklady
    10 (1966), 707-710; by dynamic programming over both texts.
    """
    row = list(range(len(truth) + 1))
    for place, digit in enumerate(text):
        diagonal, row[0] = row[0], place + 1
        for column, true in enumerate(truth):
            changed = diagonal + (digit != true)
            diagonal, row[column + 1] = row[column + 1], min(changed, row[column] + 1, row[column + 1] + 1)
    return row[-1]
