"""Sources that attack the compiler."""

from __future__ import annotations

from r1gym.sandbox.hostile.table import Hostile
from r1gym.sandbox.records import Ruling

__all__ = ["PROGRAMS"]

AC, RE, CE, WA, MLE = Ruling.AC, Ruling.RE, Ruling.CE, Ruling.WA, Ruling.MLE

_TEMPLATES = """
template<int N> struct T { static const long v = T<N-1>::v + T<N-2>::v; };
template<int N, int M> struct U { static const long v = U<N-1, M>::v + U<N, M-1>::v; };
template<int M> struct U<0, M> { static const long v = 1; };
template<int N> struct U<N, 0> { static const long v = 1; };
int main() { return U<800, 800>::v; }
"""
_CONSTEXPR = """
typedef unsigned long L;
constexpr L f(L n) { L s = 0; for (L i = 0; i < n; ++i) s += i; return s; }
constexpr auto a = f(1ul << 40);
int main() { return a; }
"""
_MACROS = "\n".join(["#define A0 x x x x x x x x x x"] + [f"#define A{n} " + f"A{n - 1} " * 10 for n in range(1, 9)])

PROGRAMS = (
    Hostile("include-dev-zero", '#include "/dev/zero"\nint main(){}', (CE,), "c"),
    Hostile("include-dev-random", '#include "/dev/random"\nint main(){}', (CE,), "cpp"),
    Hostile("include-stdin", '#include "/dev/stdin"\nint main(){}', (CE, WA), "c"),
    Hostile("include-program-memory", '#include "/proc/1/mem"\nint main(){}', (CE,), "c"),
    Hostile("template-bomb", _TEMPLATES, (CE,), "cpp"),
    Hostile("constexpr-bomb", _CONSTEXPR, (CE,), "cpp"),
    Hostile("macro-bomb", f"{_MACROS}\nint x = A8;\nint main(){{}}", (CE,), "c"),
    Hostile("initialised-gigabyte", "char a[1 << 30] = {1};\nint main(){return a[5];}", (CE,), "c"),
    Hostile("error-flood", "#include <map>\nint main(){" + "std::map<int> m; m[x] = y;" * 3000 + "}", (CE,), "cpp"),
    Hostile("incbin-shadow", 'asm(".incbin \\"/etc/shadow\\"");\nint main(){}', (CE,), "c"),
    Hostile("no-main", "int x;", (CE,), "c"),
    Hostile("empty-source", "", (CE,), "cpp"),
    Hostile("nul-in-source", "int main(){}\0", (CE, WA), "c"),
    Hostile("python-nul-in-source", "print(49)\0", (CE,)),
    Hostile("python-deep-nesting", "(" * 5000 + ")" * 5000, (CE, RE)),
    Hostile("python-many-terms", "+".join(["1"] * 20000) + "\nprint(49)", (AC, CE, RE)),
)
