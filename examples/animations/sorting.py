"""Bubble sort, as bars that change places."""

from manim import *


class Sorting(Scene):
    def construct(self):
        heights = [5, 2, 4, 1, 3]
        bars = [self.bar(height, 5) for height in heights]
        VGroup(*bars).arrange(RIGHT, buff=0.3, aligned_edge=DOWN).move_to(ORIGIN)
        self.play(LaggedStart(*(GrowFromEdge(bar, DOWN) for bar in bars), lag_ratio=0.2))
        for end in range(len(bars) - 1, 0, -1):
            for at in range(end):
                if bars[at].height > bars[at + 1].height:
                    self.exchange(bars, at)
            self.play(bars[end].animate.set_color(GREEN), run_time=0.2)
        self.play(bars[0].animate.set_color(GREEN), run_time=0.2)
        self.wait(0.5)

    def bar(self, height, highest):
        color = interpolate_color(BLUE, PURPLE, height / highest)
        return Rectangle(width=0.9, height=height, color=color, fill_opacity=0.8)

    def exchange(self, bars, at):
        left, right = bars[at], bars[at + 1]
        places = left.get_x(), right.get_x()
        self.play(left.animate.set_x(places[1]), right.animate.set_x(places[0]), run_time=0.35)
        bars[at], bars[at + 1] = right, left
