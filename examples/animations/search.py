"""Breadth-first search: what is found first is what is near."""

from manim import *

EDGES = [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (4, 6), (5, 6), (5, 7)]


class Search(Scene):
    def construct(self):
        graph = self.graph()
        self.play(Create(graph), run_time=1)
        for distance, level in enumerate(self.levels()):
            color = [YELLOW, ORANGE, RED, PURPLE][distance]
            label = Text(f"distance {distance}", font_size=32, color=color).to_corner(UL)
            self.play(
                *(graph.vertices[vertex].animate.set_fill(color).scale(1.2) for vertex in level),
                FadeIn(label),
                run_time=0.5,
            )
            self.remove(label)
        self.wait(0.5)

    def graph(self):
        places = {
            0: [-5, 0, 0],
            1: [-2.5, 1.5, 0],
            2: [-2.5, -1.5, 0],
            3: [0, 2.6, 0],
            4: [0, 0.7, 0],
            5: [0, -1.5, 0],
            6: [2.5, 0, 0],
            7: [2.5, -2.5, 0],
        }
        return Graph(
            list(places),
            EDGES,
            layout=places,
            vertex_config={"radius": 0.3, "fill_color": GREY_D},
            edge_config={"stroke_color": GREY_B},
        )

    def levels(self):
        found, level = {0}, [0]
        while level:
            yield level
            level = sorted({b for a in level for edge in EDGES for b in edge if a in edge and b not in found})
            found.update(level)
