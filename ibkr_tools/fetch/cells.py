"""Cells of tables for people: texts on one line, and how wide a terminal shows them. Pure."""


def plain(text: str) -> str:
    """Returns a text on one line, without what could move the cursor."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def columns_of(text: str) -> int:
    """Returns how many columns of a terminal a text takes; some letters take two, and combining marks none."""
    return len(text) if text.isascii() else sum(map(_columns_of_letter, text))


def _columns_of_letter(letter: str) -> int:
    import unicodedata

    if unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1
