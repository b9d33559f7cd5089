"""Writes the API data files as C++ string constants, so that the binary stands alone.

usage: embed.py OUTPUT.cpp NAME=FILE.json ...
"""
import json
import sys

PIECE = 60000  # characters; compilers accept far longer literals, readers of the output do not


def literal(text):
    pieces = [text[i:i + PIECE] for i in range(0, len(text), PIECE)]
    return '\n'.join('R"troupe(' + p + ')troupe"' for p in pieces)


def main():
    with open(sys.argv[1], 'w', encoding='utf-8') as out:
        out.write('#include "api/schema/embedded.hpp"\n\nnamespace troupe::schema::embedded {\n')
        for pair in sys.argv[2:]:
            name, path = pair.split('=', 1)
            with open(path, encoding='utf-8') as f:
                text = json.dumps(json.load(f), ensure_ascii=False, separators=(',', ':'))
            out.write('const std::string_view %s = %s;\n' % (name, literal(text)))
        out.write('} // namespace troupe::schema::embedded\n')


if __name__ == '__main__':
    main()
