"""A real browser without a screen, and what it makes of a page at some width, in light or dark."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Asks a page in a frame, which takes its place from this page, what it looks like.
_FRAME = """\
<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<style>:root {{ color-scheme: light dark }}</style>
<iframe id="frame" width="{width}" height="800" style="border:0" srcdoc="{page}"></iframe>
<pre id="answer"></pre>
<script>
addEventListener("load", () => {{
  const page = document.getElementById("frame").contentDocument, root = page.documentElement;
  for (const details of page.querySelectorAll("details")) details.open = true;
  const all = [...page.querySelectorAll("*")], style = frame.contentWindow.getComputedStyle;
  const beyond = all.filter(one => one.getBoundingClientRect().right > {width} + 0.5
    && !one.closest(".scroll") && !one.closest(".skip"));
  const svg = page.querySelector("svg path[style*=var], svg use[style*=var]");
  document.getElementById("answer").textContent = JSON.stringify({{
    over: root.scrollWidth - root.clientWidth,
    beyond: beyond.map(one => one.outerHTML.slice(0, 120)),
    colours: ["backgroundColor", "color"].map(name => style(page.body)[name]),
    line: svg ? style(svg).stroke + style(svg).fill : "",
    tags: [...new Set(all.map(one => one.localName))],
    attributes: [...new Set(all.flatMap(one => one.getAttributeNames()))],
    text: page.body.textContent,
    headings: all.filter(one => /^h[1-6]$/.test(one.localName)).map(one => one.localName),
    boxes: [...page.querySelectorAll(".scroll")].filter(one => one.scrollWidth > one.clientWidth)
      .map(one => [one.tabIndex, style(one).overflowX]),
    small: [...page.querySelectorAll("svg text")].map(one => one.getBoundingClientRect().height)
      .filter(height => height > 0 && height < 8).length,
  }});
}});
</script>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a browser made of a page; `refused` is what its content security policy held back."""

    answer: dict[str, Any]
    refused: tuple[str, ...]


def look(page: str, folder: Path, *, width: int, dark: bool = False) -> Seen:
    """Open a page in a frame of some width, all its details unfolded."""
    assert CHROMIUM is not None
    file = folder / f"frame-{width}-{dark}.html"
    file.write_text(_FRAME.format(width=width, page=html.escape(page)), "utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}",
         f"--window-size={max(width, 500) + 60},1000", "--virtual-time-budget=3000",
         "--dump-dom", file.resolve().as_uri()],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    found = re.search(r'id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], done.stderr[-2000:]
    refused = [line for line in done.stderr.splitlines() if "Content Security Policy" in line]
    return Seen(answer=json.loads(html.unescape(found[1])), refused=tuple(refused))
