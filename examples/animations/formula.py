"""The sum of the first numbers, with formulas that need no LaTeX: MathTypst takes the syntax of Typst."""

from manim import *


class Formula(Scene):
    def construct(self):
        rows = VGroup(
            *(
                VGroup(*(Square(0.55, color=WHITE, stroke_width=2, fill_opacity=0.7) for _ in range(row))).arrange(
                    RIGHT, buff=0
                )
                for row in range(1, 5)
            )
        ).arrange(DOWN, buff=0, aligned_edge=LEFT)
        rows.set_fill(BLUE)
        copy = rows.copy().set_fill(ORANGE).rotate(PI)
        VGroup(rows, copy).shift(LEFT * 3)
        copy.next_to(rows, RIGHT, buff=0).align_to(rows, UP).shift(LEFT * rows.width).shift(RIGHT * 0.55)
        question = MathTypst("sum_(k=1)^n k = 1 + 2 + dots.h.c + n").scale(0.9).to_corner(UR, buff=1)
        answer = MathTypst("sum_(k=1)^n k = (n (n + 1)) / 2", color=YELLOW).scale(1.1).shift(RIGHT * 3 + DOWN)
        self.play(LaggedStart(*(FadeIn(row, shift=DOWN * 0.3) for row in rows), lag_ratio=0.3), Write(question))
        self.play(FadeIn(copy, shift=LEFT))
        self.play(Write(answer))
        self.play(Create(SurroundingRectangle(answer, buff=0.25)))
        self.wait(0.5)
