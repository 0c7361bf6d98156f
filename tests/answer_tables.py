r"""Tables of answers: what is equal, what is not, and which answer a text gives.

EQUAL and DIFFERENT: the first cell of a row against each other one, in both orders. Lines with `#`
name the kind. CLAIMED and LAST: a text (`⏎` is a new line) `=>` the answer found in it.
"""

EQUAL = r"""
# numbers
1,000 | 1000 | 1000.0 | $1000 | \$1,000.00 | 1{,}000 | 1,\!000 | 1e3 | +1000 | 1000. | 1 000 | 1\,000 | 10^3 | 1 \times 10^{3} | (1000) | {1000} | １０００ | １，０００ | 0x3e8 | 0b1111101000 | 0o1750 | 1 thousand | one thousand | 10³ | 1×10³ | 1\thinspace000
1/2 | \frac{1}{2} | \frac12 | 0.5 | .5 | \dfrac{1}{2} | 2/4 | \frac{-1}{-2} | $\frac 12$ | 50\% | \(0.5\) | ½ | one half | 1 half | \tfrac12 | \frac1{2} | 0.50 | 1:2 | \cfrac{1}{2} | 5\times10^{-1} | \frac{0.5}{1} | half
-3/2 | -1\frac{1}{2} | -1 1/2 | \frac{-3}{2} | -\frac32 | -1.5 | −1.5 | –1.5 | -1½ | -3 halves | - \frac{3}{2} | -\dfrac{3}{2}
137\frac12 | 137 \frac{1}{2} | 137.5 | 275/2 | 137 1/2 | 137½
50% | 50\% | 50 percent | 50 | 50 % | 50 per cent | 50\text{ percent} | 50\text{%} | 50\,\%
0x3eb2 | 16050 | 0x3EB2 | 0X3eb2 | 16,050 | 0o37262 | 0b11111010110010
0b101 | 5 | 0x5 | 0o5 | 0B101
0o17 | 15 | 0xf | 0xF | 0b1111
-0x10 | -16
0x0 | 0 | 0b0 | 0.0 | zero
2/3 | 2 thirds | two thirds | two-thirds | \frac23 | ⅔ | 2:3 | 4/6 | \frac{2}{3}\text{ cup} | 0.\overline{6}
0.\overline{3} | 1/3 | one third | ⅓ | 0.\overline{33}
0.1\overline{6} | 1/6 | ⅙
25 | 5 squared | 5^2 | 5² | 25.0 | 5\text{ squared} | twenty-five | twenty five
125 | 5 cubed | 5^3 | 5³
5 million | 5,000,000 | 5 Million | 5000000 | 5 MILLION | 5\text{ million} | 5 \times 10^6 | 5·10⁶ | five million | 5 million dollars | $5 million | \$5,000,000
24 | 2 dozen | two dozen | 2 dozen eggs | 4! | 24 eggs
60 | 5 dozen | 5\text{ dozen}
2500 | 2.5 thousand | 2,500 | 25 hundred
3/4 | 3 quarters | three quarters | 3 fourths | ¾ | .75 | 3:4
7/10 | 7 tenths | 0.7
0.07 | 7 hundredths | 7%
12 | 12.0 | twelve | 012 | 12.
1/1000 | 10^{-3} | 10⁻³ | 0.001 | 1e-3 | 1 \times 10^{-3} | 1\cdot10^{-3} | \frac{1}{10^3}
0.000015 | 1.5 \times 10^{-5} | 1.5×10⁻⁵ | 1.5e-5 | 1.5 \cdot 10^{-5}
2^{10} | 1024 | 2¹⁰ | 2^10 | 2**10
11,\! 111,\! 111,\! 100 | 11111111100 | 11,111,111,100
# units
5 | 5 apples | 5\text{ cm} | 5 \mbox{ inches}^2 | 5^\circ | 5° | 5 degrees | x = 5 | 5 miles per hour | **5** | 5cm | 5 km/h | 5 sq. ft | 5 square feet | 5 cm^2 | 5 cm² | 5\text{ cm}^2 | 5\,\text{cm} | 5~\mathrm{cm} | 5 \textrm{ kg} | 5\text{ m}/\text{s} | 5\ \text{m/s}^{2} | 5 USD | €5 | £5 | 5 times | 5 more apples | 5\ \mathrm{m\,s}^{-1} | 5\; \text{square units} | 5 hours | 5 hrs | 5 cm squared | `5` | "5"
12\pi | 12\pi\text{ cm}^2 | 12π | 12 pi | 12\pi \text{ square units} | 12\pi cm | 12\pi square inches | 12\pi\,\text{cm}^3 | 12π cm² | 12 \cdot \pi | 12\pi\mbox{ inches}^2 | 12\pi ~\mathrm{m}^2 | 12\pi cubic feet | $12\pi$ units
5! | 120 | 5!\text{ ways} | 5! ways
3k | 3k\text{ dollars} | 3k \text{ cm} | k \cdot 3
(x+1) | x+1 | (x+1)\text{ cm} | 1+x
2x+3 | 2x+3 units | 2x + 3\text{ units} | 3+2x | y = 2x+3 | f(x) = 2x+3
3\sqrt{2} | 3\sqrt2 | 3\sqrt{2}\text{ cm} | \sqrt{18} | 3√2 | 3\sqrt{2} units | 3 \cdot \sqrt{2} | 3*sqrt(2)
\frac{\pi}{2} | π/2 | \frac{\pi}{2}\text{ radians} | \frac12\pi | \pi/2 | 0.5\pi | \frac{\pi}{2} rad
n\text{ sides} | n
90^\circ | 90 | 90 degrees | 90°
# left-hand sides
210 | S_{20} = 210 | S = 210 | S_20=210 | S₂₀ = 210 | \text{Sum} = 210 | sum = 210 | \boxed{210}
30 | \theta = 30 | θ = 30° | \angle ABC = 30^\circ | m\angle A = 30 | \alpha = 30 | x = y = 30 | x = 10 + 20 = 30
5 | f(2) = 5 | f(2)=5 | m+n = 5 | 3+2 = 5 | P(A) = 5 | AB = 5 | a_n = 5 | a_{n} = 5 | x_1 = 5 | f'(2) = 5 | \log_2 32 = 5 | \frac{a}{b} = 5 | \overline{AB} = 5 | a+b+c = 5 | m - n = 5 | 5 = x | \lfloor x \rfloor = 5 | \sqrt{25} = 5 | 2m+n = 5 | xy = 5 | x+y = 5 | |x - y| = 5 | \text{Area} = 5 | area of triangle = 5 | x = 5\text{ cm} | f^{-1}(3) = 5 | \gcd(10,15) = 5 | p + q + r = 5 | 10/2 = 5 | \sin\theta = 5 | |AB| = 5 | n! = 5 | = 5
(2,3) | (x,y)=(2,3) | (x, y) = (2, 3) | \left(2,3\right) | (2.0, 6/2) | P = (2,3) | (a,b) = (2,3) | \left( x, y \right) = \left( 2, 3 \right)
(1,2,3) | (a,b,c) = (1,2,3) | (1, 2, 3)
x = 5 | 5 | 5 = x
x \in [-2,7] | [-2,7]
-5, 5 | x = 5 or x = -5 | x = \pm 5 | \pm 5 | 5, -5 | 5 and -5 | 5 or -5 | \{5,-5\} | x = 5, -5 | x=5, x=-5 | x \in \{-5, 5\} | ±5 | 5\text{ or }-5 | x=5 \text{ or } x=-5
x = 1, y = 2 | y = 2, x = 1 | x=1 and y=2 | x = 1,\ y = 2
x = 2k\pi | 2k\pi | 2\pi k
(2,3) | x=2, y=3 | x = 2 and y = 3 | x=2,\ y=3
5 | E[X] = 5 | \mathbb{E}[X] = 5 | P(X = 3) = 5 | x_1 + x_2 = 5 | 100a + 10b + c = 5 | x/y = 5 | \frac{x}{y} = 5 | n! = 5 | a_5 = 5 | \sqrt{x} = 5
# TeX and Unicode
25 | 25°C | 25℃ | 25^\circ C | 25^{\circ}\text{C} | 25 ^\circ\mathrm{F} | 25º
12\pi | 12\pi{\rm cm}^2 | 12\pi\,{\rm cm} | 12\pi\phantom{0} | 12\pi\text{.} | 12\pi \\
\sqrt[3]{8} | 2 | ∛8 | \sqrt[3]8
x^n | xⁿ | x^{n}
1/2 | 1∕2 | 1 ∶ 2 | \text{\textbf{1/2}}
5000 | 5 x 10^3 | 5x10^3 | 5 \times 10^3 | 5∗10³
-5 | negative 5 | minus 5 | −5 | negative five
7 | \boldsymbol{7} | \underline{7} | \textstyle 7 | 7\quad | \color{red}7 | \color{red}{7} | \textcolor{blue}{7} | {\color{red} 7} | \mathbf{7} | \bm{7} | \displaystyle 7 | \boxed{7} | \fbox{7} | \text{7} | \textbf{7} | \mathrm{7} | \bf 7 | \quad 7 \quad | \large 7 | ~7 | \hspace{1cm}7 | \! 7 | {{7}} | \left(7\right) | \big(7\big) | **7** | *7* | \mathit{7} | \emph{7} | \ensuremath{7}
x^4 | x⁴ | x^{4} | x**4 | x · x³ | x^{\color{red}4} | x ^ 4 | \boldsymbol{x}^4
\frac{3}{4}x | ¾x | \dfrac{3}{4}x | \frac{3x}{4} | 0.75x
x_1 + x_2 | x₁ + x₂ | x_2 + x_1 | x_{1}+x_{2}
a \le b | a ≤ b | a \leq b | a <= b | a \leqslant b | b \ge a | b ≥ a
x \ne 3 | x ≠ 3 | x \neq 3 | x != 3
\alpha + 1 | α + 1 | 1 + \alpha
\sqrt{3} | √3 | \sqrt3 | \sqrt 3 | sqrt(3) | √(3) | \sqrt{\boldsymbol{3}}
\frac{\sqrt{3}}{3} | \frac{1}{\sqrt3} | \dfrac{\sqrt3}{3} | √3/3
\emptyset | \varnothing | ∅ | \{\} | \{ \}
x^{10} | x¹⁰
-7 | −7 | –7 | - 7 | ‑7 | (-7) | \text{-}7
# choices
B | (B) | Option B | B) 12 | (B) 12 | \text{(B)} | \textbf{(B)} | b | B. | option (B) | Choice B | B: 12 | B. 12 | \textbf{(B)}\ 12 | \text{B) } 12 | [B] | B) | answer B | OPTION B | \mathrm{(B)}\ 12 | \text{(B) }12 | (B): 12 | (B), 12 | B)x+1 | \textbf{B)} 12
(B) 12 | 12 | B) 12 | (B)\ 12
(C) \frac12 | C | 1/2 | C) 0.5
A, C | C, A | A and C | A,C
# words
\text{Monday} | monday | Monday. | \textbf{Monday} | MONDAY | \mathrm{Monday} | **Monday**
\text{no solution} | no solution | No solution | \text{no}\ \text{solution}
New York | new york | \text{New York}
yes | Yes | YES. | \text{Yes}
3:45 PM | 3:45 pm | \text{3:45 PM} | 03:45 PM
10 a.m. | 10 A.M. | 10 a.m
May 5, 2024 | may 5, 2024 | \text{May 5, 2024}
2024-01-15 | \text{2024-01-15}
red, blue | blue, red | \text{red}, \text{blue} | red and blue
e2e4 | E2E4 | \text{e2e4}
H2O | h2o | \text{H2O}
# bases
52_8 | 52_{8} | 52₈
2A_{16} | 2a_{16}
# lists and sets
\{1,2\} | \{2,1\} | 1,2 | 2, 1 | 1 and 2 | \{2, 1.0\} | 1\text{ and }2 | 1 , 2 | \lbrace 1, 2 \rbrace | \left\{1,2\right\}
3, 5, 7 | 7,5,3 | 3, 5 and 7 | 3, 5, and 7 | \{3,5,7\} | 3,5,7
1,000, 2,000 | 1000, 2000 | 2000 and 1000
\{1\pm\sqrt{5},-2\} | -2, 1+\sqrt5, 1-\sqrt5 | \{-2, 1-\sqrt{5}, 1+\sqrt{5}\}
1 \pm \sqrt{19} | 1+\sqrt{19}, 1-\sqrt{19} | 1 - \sqrt{19}, 1 + \sqrt{19} | x = 1 \pm \sqrt{19}
(1,2), (3,4) | (3,4),(1,2) | \{(1,2),(3,4)\} | (1,2) and (3,4)
3\text{ m}, 4\text{ m} | 3, 4
# tuples, intervals, matrices
(1,2] | \left(1,2\right] | ( 1, 2 ] | (\frac{2}{2},2.0]
(2,\infty) | (2,+\infty) | x > 2 | 2 < x | (2, ∞) | (2, infinity) | x \in (2,\infty)
(0,9)\cup(9,36) | (9,36) \cup (0,9) | (0,9) ∪ (9,36)
[1,3] | [1,2] \cup [2,3] | 1 \le x \le 3
(-\infty, 0] | x \le 0 | x ≤ 0 | (-∞,0] | 0 \ge x
\begin{pmatrix} 1/2 \\ 2 \end{pmatrix} | \begin{bmatrix}\frac12\\2\end{bmatrix} | \begin{pmatrix}0.5\\2.0\end{pmatrix} | \left(\begin{array}{c}1/2\\2\end{array}\right) | \begin{pmatrix} 1/2 \\ 2 \\ \end{pmatrix}
\begin{pmatrix}1&2\\3&4\end{pmatrix} | \begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix} | A = \begin{pmatrix}1&2\\3&4\end{pmatrix} | \begin{pmatrix}1&2\\[2pt]3&4\end{pmatrix}
\begin{vmatrix}1&2\\3&4\end{vmatrix} | -2
2\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix}2\\4\end{pmatrix}
\left( 3, \frac{\pi}{2} \right) | (3, \pi/2) | (3,π/2) | (3, 0.5\pi)
# sequences
1 2 3 | 1  2  3 | \text{1 2 3} | 1.0 2 3 | 1\ 2\ 3
1;2;3 | 1; 2; 3 | 1 ; 2 ; 3.0
1|2|3 | 1| 2| 3
# algebra
x^2+1 | 1+x^2 | x^{2} + 1 | x**2+1 | x² + 1 | 1 + x·x
\sqrt{8} | 2\sqrt2 | 2 \sqrt{2} | sqrt(8) | √8 | 2√2
(a+5)(b+2) | ab + 2a + 5b + 10 | 2a+5b+10+ab | (b+2)(a+5)
y = 2x + 3 | 2x+3 | y - 2x = 3 | 3 + 2x | y = 3 + 2x
6 - 5i | -5i + 6 | 6-5i
2\pi | 2π | 2 pi | \pi \cdot 2
2xy | 2yx | 2 x y | 2 xy | 2 \cdot x \cdot y
\pi r^2 h | \pi hr^2 | π r² h
x(y+z) | xy + xz | (y+z)x
|x-1| | |1-x| | \left|x-1\right| | \vert x - 1\vert
\sin^2 x | (\sin x)^2 | \sin x \sin x
e^{i\pi} | e^{\pi i}
2\log 3 | 2\log(3) | 2 log 3
\frac{a}{b} | a/b | \frac{2a}{2b} | a \cdot \frac{1}{b}
x^{-1} | \frac{1}{x} | 1/x | x⁻¹
3R^2 | 3R·R | 3R²
p - q | p-q | -q + p | p − q
5x - 7y + 11z + 4 = 0 | 5x-7y+11z+4=0 | -5x + 7y - 11z - 4 = 0 | 7y = 5x + 11z + 4
\frac{11+9a}{20} | \frac{9a+11}{20} | 0.55 + 0.45a
1-p-q | 1 - q - p
\binom{5}{2} | 10 | \dbinom52
"""

DIFFERENT = r"""
# sequences are not products
1 2 3 | 3 2 1 | 6 | 123 | 1 3 2 | 1 2 | 1 2 3 4 | 12 3 | (1,2,3) | 1, 2, 3
1;2;3 | 3;2;1 | 6 | 123 | 1;2;4 | 1;2
1|2|3 | 3|2|1 | 6 | 123
1:2:3 | 3:2:1 | 6 | 1:2:4
1-2-3 | 1-3-2 | -4 | 3-2-1
A-B-C | A-C-B | C-B-A | ABC
A B C | C B A | C A B | A C B
A|B|C | C|B|A | B|A|C
A;B;C | C;B;A
A -> B -> C | A -> C -> B | C -> B -> A
A → B | B → A
2 3 | 3 2 | 6 | 5 | 23
1 2 \\ 3 4 | 3 4 \\ 1 2 | 24
1.5 2.5 | 2.5 1.5 | 3.75
1\,2\,3 | 3\,2\,1 | 6 | 123
1\quad 2 | 2\quad 1 | 2 | 12
x y z | z y x | y x z
1 x 2 | 2 x 1
1/2/3 | 1/3/2 | 1/6
2024-01-15 | 2024-15-01 | 2008 | 2024-01-16
12/25/2024 | 25/12/2024 | 12/24/2024
555-1234 | 1234-555
01 02 03 | 03 02 01
192.168.0.1 | 192.168.1.0
1.2.3 | 1.3.2
3:45 | 3:54 | 45 | 3 | 345 | 4:45 | 3.75
0:30 | 0:45 | 0
3:4 | 4:3 | 34 | 7 | 12
# moves and codes
e2e4 | e4e2 | e2e3 | 8 | 8e^2
e2-e4 | e4-e2 | -2e | e2
Nf3 | Nc3 | 3Nf | fN3
e8=Q | Q | e8=R
O-O | O-O-O
x2 | 2x | x^2
a1 b2 | b2 a1
H2O | 2HO | HO2
R1C2 | R2C1
# literals
0x3eb2 | 0x5b993 | 0 | 0x3eb3 | 3 | 3eb2 | 2
0b101 | 0b110 | 101 | 0 | 0x101
0o17 | 17 | 0o71 | 0
0xff | 0xfe | 0 | ff
0xab + 1 | 0xba + 1 | 1
-0x10 | 0x10 | 10 | -10
# words that change a number
5 | 5 million | 5 Million | 5 thousand | 5 dozen | 5 hundred | 5 billion | 5 trillion | 5 squared | 5 cubed | 5 tenths | 5 halves | 5 thirds | 5 factorial | 5k | 5K | 5M | 5 k | 5 percent of 10 | 5\text{ million} | 5\text{ squared} | 5 hundredths | 5 zillion | 5 and a half | 5 or 6 | 5 a.m. | 5 pm | 5\text{ thousand} | 5 millionths | 5 lakh | 5 mod 7 | 5 repeating | 5\text{ or more} | 5 score | 5 grand | 5 reciprocal | five million | 5 doubled | 5bn
2 | 2 thirds | 2 halves | 2 dozen | 2 quarters | 2 fifths | 2\text{ thirds} | 2 Thirds | 2 squared | two thirds
0.3 | 0.\overline{3} | 0.3 repeating | 0.33
3 halves | 3 | 3 thirds | 2/3
1 - 2 - 3 | 1 - 3 - 2 | -4
1 > 2 > 3 | 1 > 3 > 2 | 3 > 2 > 1
1 < 2 | 3 < 4
A - B - C | A - C - B
A > B > C | A > C > B | C > B > A
5 March | 5 May | 5 | 6 March
March 5 | May 5 | 5
5 Monday | 5
5 miles north | 5 miles south
30 | 3 tens million | 3 fives | 30 sixths | 30 twelfths
2x4 | 4x2 | 8x
1h30 | 30h1
ACGT | TGCA | GATC
XIV | XVI | XI
3d6 | 6d3 | 18d
1,2;3,4 | 3,4;1,2 | 1,2;4,3
(1 2 3) | (3 2 1) | 6 | (6)
[1 2 3] | [3 2 1]
[1, 2, 3] | [3, 2, 1] | [1, 2]
#ff00aa | #aa00ff
C6H12O6 | C12H6O6 | C6O6H12
1st | 2nd | s
O(n^2) | O(n) | O(n^3)
# anagrams and words
CAB | ABC | BCA | CBA
HT | TH | HH | H T T
ab | ba
east | seat | teas | west | eats
listen | silent
act | cat | tac
Evelyn | Navin
yes | no
even | odd
red, blue | red, green | blue | red
true | false
HTH | THH | HHT
NO | ON
evil | live | vile | veil
2 east
5 on | 5 no
NaCl | ClNa
cost | cots
\text{AB} | \text{BA}
word | sword
\text{stop} | \text{post}
# left-hand sides
x = 5 | y = 5 | x = 6 | 6 | x = -5
x - y = 0 | 0
2x + 3y = 6 | 6 | 2x + 3y = 7
x^2 + y^2 = 25 | 25 | x^2+y^2 = 24
2x = 10 | 10
x = 5 or x = -5 | 5 | -5 | x = 5 | 5, -6
x = 1, y = 2 | x = 2, y = 1 | 1 | 2 | x = 1
(x,y) = (2,3) | (3,2) | (x,y) = (3,2) | 2 | 2,3
f(2) = 5 | f(3) = 6 | 6 | 2
S_{20} = 210 | 20 | 211
3+2 = 5 | 3+2 = 6 | 6
m+n = 7 | 8 | m+n = 8
y = 2x + 3 | y = 2x - 3 | y = 3x + 2 | 2x
f(x) = 2x | x | 3x
x(x+1) = 6 | 6
2n = 10 | 10
n + 1 = 7 | 7
n^2 = 25 | 25
(2,3) | x=3, y=2 | y=3, x=2
# units, percent
5 | negative 5 | minus five | twice 5 | about 50 | less than 5 | at least 5 | 5' | V | 5th | 5:00
50% | 5 | 0.005 | 0.5%
12\pi | 12 | 12\pi^2 | 6\pi | 37.7 | 12\pi\text{ million}
5 | 5x | 5c | -5 | 5.1 | 15 | 5! | 5^2 | 0.5 | 55
3\sqrt{2} | 3\sqrt{3} | 3 | 2\sqrt{3} | 32
2x + 3 | 2x | 2x - 3 | 5x | 3x + 2 | 2
n | n^2 | 2n | m
10 a.m. | 10 p.m. | 10
5x + 2t | 5x + 2
# numbers
1 1/2 | 11/2 | 1/2 | 1
0.33 | 1/3
0.0000672 | 0.0000671
1/0 | 0 | 1
.5 | 5 | 0.05
1,000 | 1 | 1000000 | 100 | 1,001
10^{-3} | 10^3 | 103 | -30 | 0.01
x⁴ | x4 | 4x | x^3
½ | 12 | 1 | 2
10⁻³ | 10-3 | 7
2^{10} | 210 | 20 | 10^2
52_8 | 528 | 52 | 42 | 52_9
1e3 | 1e4 | 13
3.14 | \pi
1 000 | 1 | 0 | 1 001
2 | 3 | -2 | 2.0001 | 1/2
# choices
B | A | C | (A) | A) 12 | Option A | 12
(B) 12 | (A) 12 | (B) 13 | 13 | A
B) 12 | C
Option A | Option B
A, B | A, C | A | B
# brackets
\{1,2\} | \{1,2,3\} | \{1\} | (1,2)
1,2 | 1 | 2 | 1,2,3 | 1,2,2 | 12
(1,2] | (1,2) | [1,2] | [1,2) | (2,1]
(3,4) | (4,3) | 3,4 | (3,4,5)
1,1,2 | 1,2,2
(0,9)\cup(9,36) | (0,36) | (0,9)
[1,2] | [1,3] | 1 \le x < 2
(2,\infty) | [2,\infty) | x < 2 | x \ge 2 | (-\infty,2)
\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix}1&2\end{pmatrix} | \begin{pmatrix}2\\1\end{pmatrix} | \begin{pmatrix}1\\3\end{pmatrix} | 1
\begin{pmatrix}1&2\\3&4\end{pmatrix} | \begin{pmatrix}1&3\\2&4\end{pmatrix} | \begin{pmatrix}1&2&3&4\end{pmatrix} | -2
(1,2),(3,4) | (1,3),(2,4) | (2,1),(4,3)
1 \pm \sqrt{19} | 1 + \sqrt{19} | 1 - \sqrt{19} | 1 \pm \sqrt{17}
# algebra
f(2) = 5 | f(3) = 5
a/b | a | b | ab | b/a
x\text{ is even} | x
x^2 + 1 | x^2 - 1 | y^2 + 1 | x^2 | 1
p - q | q - p | p + q
\frac{a}{b} | \frac{b}{a} | ab
\sin x | \cos x
|x| | x | -x
6 - 5i | 6 + 5i | 5 - 6i
\sqrt{2} | \sqrt[3]{2} | 2 | 1.41
x > 2 | x < 2 | x \ge 2 | 2
x \ne 3 | x = 3 | 3
1-p-q | 1 - p + q
"""

CLAIMED = r"""
The answer is .5 => .5
The answer is .5. => .5
The answer is -.5 cm => -.5
The answer is 2x+3 units => 2x+3
The answer is 3 and 5, respectively => 3 and 5
The answer is 3 and 5, respectively. => 3 and 5
The answer is $3$ and $5$, respectively. => 3 and 5
The answer is \begin{pmatrix}1\\2\end{pmatrix} as required => \begin{pmatrix}1\\2\end{pmatrix}
The answer is $\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}$ in simplest form => \begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}
The answer is 5 million => 5 million
The answer is 5 million people. => 5 million
The answer is 5 million dollars, which is a lot. => 5 million
The answer is 2 thirds of the pie => 2 thirds
The answer is \frac{\sqrt{3}}{3} in simplest form. => \frac{\sqrt{3}}{3}
The answer is p - q in simplest form => p - q
The answer is \text{Evelyn} in simplest form => \text{Evelyn}
The answer is (3,4] in interval notation => (3,4]
The answer is x \in [-2,7] in interval notation => x \in [-2,7]
The answer is 1 \pm \sqrt{19} in simplest form => 1 \pm \sqrt{19}
**Answer**: B => B
**Answer:** B => B
**Answer** B => B
### Answer⏎5 => 5
### Answer⏎⏎5 => 5
## Final Answer⏎⏎$$\frac12$$ => \frac12
### Answer: 5 => 5
#### Answer: 5 => 5
Answer (in cm): 12 => 12
Answer (in cm) = 12 => 12
**Answer (in cm)**: 12 => 12
<answer>5</answer> => 5
<answer> 5 </answer> => 5
<answer>5 => 5
<answer>⏎1 2⏎3 4⏎</answer> => 1 2⏎3 4
<ANSWER>B</ANSWER> => B
The answer is <answer>3</answer> => 3
**Final Answer**⏎⏎12 => 12
**Final Answer**: The answer is 12 => 12
Final Answer: 12 => 12
Final answer: $12$ => 12
FINAL ANSWER: 12 => 12
Answer - 12 => 12
Answer: - 12 => - 12
The answer is: **12** => 12
The answer is **12** cm => 12
The answer is therefore 12. => 12
The answer is approximately 3.14. => 3.14
The answer is option B. => B
The answer is (B) 12. => (B) 12
The answer is B) 12 => B) 12
The answer is B because it is right => B
The answer is A. => A
The answer is A, since a = 1. => A
The answer is Monday. => Monday
The answer is Monday because it follows Sunday. => Monday
The answer is New York. => New York
The answer is the triangle => triangle
The answer is 3:45 PM. => 3:45 PM
The answer is 3:45. => 3:45
The answer is 10 a.m. => 10 a.m
The answer is May 5. => May 5
The answer is 1,234.50 in total. => 1,234.50
The answer is $1,234.50 in total. => 1,234.50
The answer is $5. Tom pays $6. => 5
The answer is 5 apples and 3 pears. => 5 apples and 3 pears
The answer is 5 hours and 30 minutes. => 5 hours and 30 minutes
The answer is 3 out of 5. => 3 out of 5
The answer is 3 to 1. => 3 to 1
The answer is 5 because 3 + 2 = 5. => 5
The answer is 5 since 3 apples and 2 apples are 5. => 5
The answer is 5 or more => 5 or more
The answer is 5 squared => 5 squared
The answer is 5 dozen eggs => 5 dozen
The answer is 10^6 cells => 10^6
The answer is 12 cm^2 => 12
The answer is 12\pi cm^2. => 12\pi
The answer is 12\pi square units. => 12\pi
The answer is x = 5 and y = 3. => x = 5 and y = 3
The answer is x = 5 or x = -5. => x = 5 or x = -5
The answer is x = 5, where x is the number. => x = 5
The answers are 3 and 5. => 3 and 5
The answer is 1;2;3 => 1;2;3
The answer is 1; 2; 3. => 1; 2; 3
The answer is 1 2 3 => 1 2 3
The answer is \{1, 2\}. => \{1, 2\}
The answer is (1, 2). => (1, 2)
The answer is the point (1, 2). => (1, 2)
The answer is the set {1, 2}. => {1, 2}
The answer is f(x) = 2x. => f(x) = 2x
The answer is y = 2x + 3 for all x. => y = 2x + 3
The answer is ab + 2a + 5b + 10 => ab + 2a + 5b + 10
The answer to the question is 5. => 5
The answer to this problem is 5 => 5
The answer would be 5. => 5
The answer should be 5. => 5
The answer equals 5 => 5
The answer must be 5 cm => 5
The answer was 5 => 5
The answer is not 4. The answer is 5. => 5
answer = 5 => 5
answer: 5 => 5
"answer": 5 => 5
__Answer__: B => B
Answer：5 => 5
Answer in cm: 5 => 5
The answer in cm is 5. => 5
The answer for part (a): 5 => 5
The answer is -.5. => -.5
The answer is .5% => .5%
The answer is negative 5 => negative 5
The answer is minus 5 cm. => minus 5
The answer is that it is negative 5. => negative 5
The answer is 5 x 10^3 => 5 x 10^3
Answer:⏎⏎**5** => 5
{"answer": "5"} => 5
`answer`: 5 => 5
The answer is `5`. => 5
The answer is "5". => 5
The answer is 5! => 5
The answer is $5!$. => 5!
The answer is 5! ways => 5!
The answer is 50%. => 50%
The answer is 50 percent. => 50 percent
The answer is 1/2 of the cake => 1/2
The answer is half => half
The answer is two thirds of it => two thirds
The answer is 1 1/2 cups => 1 1/2
The answer is 137 \frac{1}{2} pounds => 137 \frac{1}{2}
The answer is 52_8 in base 8 => 52_8
The answer is \boxed{5} => 5
The answer is that he pays 5 dollars. => 5
The answer is that x = 5. => x = 5
The answer is the expression $p - q$. => p - q
The answer is 5 degrees Celsius => 5
The answer is -5 => -5
The answer is −5 degrees => −5
The answer is \(\frac{1}{2}\) of the total. => \frac{1}{2}
The answer is \[⏎\frac{1}{2}⏎\] => \frac{1}{2}
The answer is:⏎- 5 => 5
The answer is 0x3eb2. => 0x3eb2
The answer is e2e4. => e2e4
The answer is 5x^2 + 3x dollars => 5x^2 + 3x
The answer is 3\sqrt{2} meters => 3\sqrt{2}
The answer is 90^\circ. => 90^\circ
The answer is \frac{270}7\text{ degrees} in simplest form. => \frac{270}7\text{ degrees}
The answer is 5.4 \text{ cents} in simplest form => 5.4 \text{ cents}
The correct answer choice is B. => B
Ans: 5 => 5
**Correct answer**: C => C
"""

LAST = r"""
The area is 12 cm^2 => 12
The area is 12 cm^2. => 12
It is at 3:45 => 3:45
It is at 3:45. => 3:45
It is at 3:45 PM => 3:45 PM
It starts at 10 a.m. => 10 a.m
It starts at 10 am, he said. => 10 am
It is 3:45pm now => 3:45pm
It has 5 million cells. => 5 million
She needs 2 dozen eggs. => 2 dozen
It is 5 squared => 5 squared
It has 5 cells or so. => 5
It is negative 5. => negative 5
So $y = e^{2x}$. => e^{2x}
So y = x^2. => x^2
It costs US$5. => 5
There are 10^6 cells => 10^6
There are 10^{6} cells. => 10^{6}
There are 5 x 10 = 50 cells => 50
We get 2^{10} => 2^{10}
It moves at 3 m/s^2. => 3
The volume is 8 cm³. => 8
So f(x) = 2x+3. => 2x+3
So we get 2x + 3. => 2x + 3
So we get x^2 - 5. => x^2 - 5
The point is (3, 4). => (3, 4)
It is 1,000,000 in all. => 1,000,000
Thus $x = 2\sqrt{3}$. => 2\sqrt{3}
Thus \(x = 2\sqrt{3}\) cm. => 2\sqrt{3}
So \[ 9 + 6 = 15 \] => 15
So \[ 9 + 6 = 15 \text{ apples} \] => 15
Thus $x = 5$, where $y^2$ is large. => 5
He pays $18.90! => 18.90
it falls to −7 degrees => -7
it falls to -7 => -7
pages 3-5 => 5
about 3/4 of it => 3/4
a rise of 50% => 50%
in octal 52_8 => 52_8
thus \frac{3}{4} => \frac{3}{4}
thus \frac{\sqrt{3}}{4} => \frac{\sqrt{3}}{4}
It was on 2024-01-15 => 2024-01-15
It takes 5 hours => 5
She has 12cm of rope => 12
He was 2nd => 2
a 5-year-old => 5
H2O => None
x^2 => None
It is 1 1/2 cups => 1 1/2
(about 4) => 4
It is 5 (five). => 5
The ratio is 3:4. => 3:4
It needs 2 \times 10^5 cells. => 2 \times 10^5
- 5 apples => 5
x_1 = 5 => 5
There are 5! ways => 5!
1. add⏎2. multiply⏎so it is 7 => 7
x = 5 => 5
16 - 7 = 9, 9 * 2 = 18 => 18
She has $5 and he has $6. => 6
Total: $1,234.50. => 1,234.50
It costs 5€ => 5
50 %. => 50 %
It needs ½ cup. => ½
It needs 2½ cups. => 2½
The correct option is (B). => (B)
10⁶ cells => 10⁶
"""


def pairs(table: str) -> list[tuple[str, str]]:
    """The first cell of each row with each other one."""
    rows = [[cell.strip() for cell in row.split(" | ")] for row in lines(table)]
    return [(row[0], other) for row in rows for other in row[1:]]


def extractions(table: str) -> list[tuple[str, str | None]]:
    """The texts of a table with the answers they give."""
    cells = [line.replace("⏎", "\n").rpartition(" => ") for line in lines(table)]
    return [(text, None if answer == "None" else answer) for text, _, answer in cells]


def lines(table: str) -> list[str]:
    """The lines of a table that are no comments."""
    return [line for line in table.strip().splitlines() if not line.startswith("# ")]
