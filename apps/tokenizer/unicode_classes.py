#!/usr/bin/env python3
"""Writes apps/tokenizer/unicode_ranges.h: which code points are letters, numbers and white space.

Run it with the Python package regex, whose version of Unicode decides:  python3 apps/tokenizer/unicode_classes.py
The version of Unicode is written into the file. Each range is two numbers: the distance from the end of the
previous range to its first code point, and the number of code points in it.
"""
import pathlib
import regex

CLASSES = [("Letters", r"\p{L}"), ("Numbers", r"\p{N}"), ("WhiteSpace", r"\s")]
SURROGATES = range(0xD800, 0xE000)


def ranges(pattern):
    matches = regex.compile(pattern).fullmatch
    found = []
    for point in range(0x110000):
        if point in SURROGATES or not matches(chr(point)):
            continue
        if found and found[-1][1] == point:
            found[-1][1] = point + 1
        else:
            found.append([point, point + 1])
    return found


def unicode_version():
    """The newest version whose characters the package knows, by a letter or number that each version added."""
    added = [("15.0", 0x11F02), ("15.1", 0x2EBF0), ("16.0", 0x105C0), ("17.0", 0x11DE0)]
    known = [version for version, point in added if regex.fullmatch(r"[\p{L}\p{N}]", chr(point))]
    return known[-1] if known else "before 15.0"


def main():
    lines = [
        "// Written by unicode_classes.py: which code points are letters, numbers and white space.",
        f"// Unicode {unicode_version()}.",
        "#pragma once\n\n#include <cstdint>\n\nnamespace inkling {\n",
    ]
    for name, pattern in CLASSES:
        numbers, end = [], 0
        for begin, after in ranges(pattern):
            numbers += [begin - end, after - begin]
            end = after
        lines.append(f"constexpr std::uint16_t k{name}[] = {{")
        row = "   "
        for number in numbers:
            if len(row) + len(f" {number},") > 110:
                lines.append(row)
                row = "   "
            row += f" {number},"
        lines += [row, "};\n"]
    pathlib.Path(__file__).with_name("unicode_ranges.h").write_text("\n".join([*lines, "}  // namespace inkling\n"]))


main()
