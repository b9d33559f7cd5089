"""Writes the bytes of a file as a C++ array: embed.py INPUT OUTPUT NAME."""
import sys

data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "w") as out:
    out.write("#include <cstddef>\n")
    out.write("extern const unsigned char %s[];\nextern const std::size_t %s_size;\n" % (sys.argv[3], sys.argv[3]))
    out.write("const std::size_t %s_size = %d;\nconst unsigned char %s[] = {\n" % (sys.argv[3], len(data), sys.argv[3]))
    for i in range(0, len(data), 24):
        out.write(",".join(str(b) for b in data[i:i + 24]) + ",\n")
    out.write("};\n")
