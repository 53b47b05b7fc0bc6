#!/usr/bin/env python3
"""Prints html_entities.cpp: the names of HTML (as Python's html.entities has them) and what they stand for.

usage: make_html_entities.py > html_entities.cpp
"""
import html.entities

HEAD = """// Made by make_html_entities.py. Source of the names: HTML standard, "Named character references".
#include "text/html_entities.h"

#include <algorithm>
#include <iterator>

namespace mii {
namespace {

struct Entity {
  std::string_view name;
  std::string_view text;
};

// Ordered by name.
// clang-format off
constexpr Entity kEntities[] = {
"""

TAIL = """};
// clang-format on

}  // namespace

std::string_view html_entity(std::string_view name) {
  const Entity* found = std::ranges::lower_bound(kEntities, name, {}, &Entity::name);
  return found != std::end(kEntities) && found->name == name ? found->text : std::string_view();
}

}  // namespace mii
"""


def literal(text):
    """A C++ string literal of the UTF-8 bytes; octal, because hexadecimal escapes have no end of their own."""
    return '"' + "".join(f"\\{byte:03o}" for byte in text.encode()) + '"'


entries = sorted((name[:-1], text) for name, text in html.entities.html5.items() if name.endswith(";"))
lines = [""]
for name, text in entries:
    entry = f'{{"{name}", {literal(text)}}},'
    if len(lines[-1]) + len(entry) > 108:
        lines.append("")
    lines[-1] += ("  " if not lines[-1] else " ") + entry
print(HEAD + "\n".join(lines) + "\n" + TAIL, end="")
