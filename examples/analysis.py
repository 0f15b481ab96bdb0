"""What the demo runs inside the sandbox: an analysis in eight executions. Later ones use what earlier ones made.

The data set lists American airports. It has the faults that real data has: places that are not American, states that
are missing, one airfield under two codes, and coordinates in the territories that lost their sign.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One execution: what people read about it, its code, and the file name for the figure that it shows."""

    title: str
    code: str
    figure: str = ""


LOAD = """
import pandas as pd

raw = pd.read_csv("airports.csv")
print(f"{len(raw):,} rows, {raw.shape[1]} columns: {', '.join(raw.columns)}")
print("missing:", ", ".join(f"{count} x {name}" for name, count in raw.isna().sum().items() if count))
print("not in the USA:", ", ".join(raw[raw["country"] != "USA"]["name"]))
"""

CLEAN = """
import numpy as np

TERRITORIES = ("AS", "CQ", "GU", "PR", "VI")
airports = raw[(raw["country"] == "USA") & ~raw["state"].isin(TERRITORIES)].reset_index(drop=True)
print(f"{len(raw) - len(airports)} rows are outside the 50 states and Washington, D.C.: dropped")


def neighbours(table):
    \"\"\"Return the row of the nearest other airport, and how far it is in km, along a great circle.\"\"\"
    latitude, longitude = np.radians(table["latitude"].to_numpy()), np.radians(table["longitude"].to_numpy())
    points = np.column_stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    )
    cosines = points @ points.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.argmax(axis=1)
    chords = np.linalg.norm(points - points[nearest], axis=1)
    return nearest, 2 * 6371 * np.arcsin(chords / 2)


nearest, km = neighbours(airports)
twice = airports["state"].isna() & (km < 0.5)
for row in np.flatnonzero(twice):
    other = airports.loc[nearest[row]]
    print(f"{airports.loc[row, 'iata']} and {other['iata']} are one airfield, {km[row] * 1000:.0f} m apart: merged")
unknown = airports["state"].isna() & ~twice
airports.loc[unknown, "state"] = airports["state"].to_numpy()[nearest[unknown]]
for row in airports[unknown].itertuples():
    print(f"{row.name} has no state: it gets that of its neighbour, {row.state}")
airports = airports[~twice].reset_index(drop=True)
print(f"{len(airports):,} airports are left")
"""

MEASURE = """
nearest, airports["km"] = neighbours(airports)
airports["neighbour"] = airports["iata"].to_numpy()[nearest]
print(f"{len(airports) * (len(airports) - 1) // 2:,} distances compared")
print(f"half of the airports have another within {airports['km'].median():.0f} km")
airports.nlargest(5, "km")[["iata", "name", "state", "km", "neighbour"]].round({"km": 0}).reset_index(drop=True)
"""

GROUP = """
REGIONS = {
    "Northeast": "CT MA ME NH NJ NY PA RI VT",
    "Midwest": "IA IL IN KS MI MN MO ND NE OH SD WI",
    "South": "AL AR DC DE FL GA KY LA MD MS NC OK SC TN TX VA WV",
    "West": "AZ CA CO ID MT NM NV OR UT WA WY",
    "Alaska, Hawaii": "AK HI",
}
airports["region"] = airports["state"].map({state: name for name, list_ in REGIONS.items() for state in list_.split()})
random = np.random.default_rng(2010)
rows = []
for region in REGIONS:
    km = airports.loc[airports["region"] == region, "km"].to_numpy()
    medians = np.median(random.choice(km, size=(2000, len(km))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    rows.append((region, len(km), np.median(km), low, high, km.max()))
    print(f"{region:<15} {len(km):>5,} airports   median {np.median(km):.1f} km   95% interval {low:.1f} to {high:.1f}")
regions = pd.DataFrame(rows, columns=["region", "airports", "median km", "low", "high", "farthest km"])
"""

MAP = """
import matplotlib.pyplot as plt

plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 120})
figures = {}
mainland = airports[airports["region"] != "Alaska, Hawaii"]
figure, axes = plt.subplots(figsize=(9.5, 5.6), layout="constrained")
dots = axes.scatter(
    mainland["longitude"], mainland["latitude"], c=mainland["km"], cmap="viridis_r", vmin=0, vmax=100, s=11, lw=0
)
key = []
for number, row in enumerate(mainland.nlargest(5, "km").itertuples(), start=1):
    axes.annotate(
        str(number), (row.longitude, row.latitude), (0, 5), textcoords="offset points", ha="center", weight="bold",
        bbox={"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )
    key.append(f"{number}  {row.city}, {row.state}: {row.km:.0f} km")
axes.text(0.02, 0.03, "\\n".join(["The farthest from others", *key]), transform=axes.transAxes, fontsize=9)
axes.set_aspect(1 / np.cos(np.radians(39)))
axes.set(title="How far is the next airport? The 48 mainland states", xlabel="Longitude (°)", ylabel="Latitude (°)")
figure.colorbar(dots, ax=axes, label="Distance to the nearest other airport (km)", extend="max", shrink=0.85)
figures["map"] = figure
plt.show()
"""

STATES = """
states = airports.groupby("state")["km"].describe(percentiles=[0.1, 0.5, 0.9])
most = states.nlargest(15, "count")[::-1]
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 5.2), sharey=True, layout="constrained")
bars = left.barh(most.index, most["count"], color="#4c78a8")
left.bar_label(bars, fmt="%d", padding=3)
left.set(title="Airports", xlabel="Number of airports", ylabel="State")
left.margins(x=0.12)
right.hlines(most.index, most["10%"], most["90%"], color="0.75", linewidth=5, label="10% to 90% of the airports")
right.plot(most["50%"], most.index, "o", color="#e45756", label="Median")
right.set(title="Distance to the nearest other airport", xlabel="Distance (km)", xlim=(0, None))
right.tick_params(left=False)
right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False)
figure.suptitle("The 15 states with the most airports")
figures["states"] = figure
plt.show()
print(f"{most.index[-1]} has the most: {most['count'].iloc[-1]:.0f}")
"""

SHARES = """
figure, axes = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
for region, group in airports.groupby("region", sort=False):
    km = np.sort(group["km"])
    axes.plot(km, 100 * np.arange(1, len(km) + 1) / len(km), label=f"{region} ({len(km):,})")
axes.set(
    title="How many airports have another one nearby?", xlabel="Distance (km)",
    ylabel="Share with a neighbour within it (%)", xlim=(0, 100), ylim=(0, 101),
)
axes.grid(alpha=0.3)
handles, labels = axes.get_legend_handles_labels()
order = sorted(range(len(labels)), key=lambda at: -len(handles[at].get_xdata()))
axes.legend([handles[at] for at in order], [labels[at] for at in order], title="Region (airports)", frameon=False)
figures["shares"] = figure
plt.show()
"""

REPORT = """
import base64, io, os

TEXT = {
    "map": "Each dot is an airport; the darker, the farther away is the next one.",
    "states": "Many airports do not mean short ways: compare Alaska and Texas with New York and Florida.",
    "shares": "The curve of a region that is served densely rises early.",
}


def picture(name):
    buffer = io.BytesIO()
    figures[name].savefig(buffer, format="png", dpi=150)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{name}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{TEXT[name]}</figcaption></figure>"


table = regions.rename(columns={"low": "95% from", "high": "95% to"})
table = table.to_html(index=False, float_format="%.1f", border=0)
html = f\"\"\"<!doctype html><html lang="en"><meta charset="utf-8"><title>How far is the next airport?</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
img {{ max-width: 100% }} figure {{ margin: 2rem 0 }} figcaption {{ color: #555 }}
td, th {{ padding: .2rem 1rem; text-align: right }} td:first-child, th:first-child {{ text-align: left }}</style>
<h1>How far is the next airport?</h1>
<p>{len(airports):,} airports of the 50 states and Washington, D.C., out of {len(raw):,} rows. Half of them have
another within {airports["km"].median():.0f} km; airports abroad are not in the file. Medians with
intervals from 2,000 resamplings:</p>
{table}{"".join(map(picture, TEXT))}</html>\"\"\"
os.makedirs("artifacts", exist_ok=True)
airports.to_csv("artifacts/airports-clean.csv", index=False)
with open("artifacts/report.html", "w") as file:
    file.write(html)
print(f"report.html: {len(html) / 1000:,.0f} kB, {len(figures)} figures and a table")
"""

STEPS = (
    Step("Load the file", LOAD),
    Step("Clean it", CLEAN),
    Step("Measure the distances", MEASURE),
    Step("Group by region", GROUP),
    Step("Draw the map", MAP, "map.png"),
    Step("Draw the states", STATES, "states.png"),
    Step("Draw the regions", SHARES, "regions.png"),
    Step("Write the report", REPORT),
)
