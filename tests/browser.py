"""A real browser for tests marked ``browser``: Debian's Chromium, which loads nothing from anywhere."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
WIDE, NARROW = (1400, 900), (400, 800)


class Browser:
    """What a test does with a page.

    Attributes:
        driver: Selenium's.
        downloads: Folder that saved files come to.
    """

    def __init__(self, driver: Any, downloads: Path) -> None:  # noqa: ANN401
        self.driver, self.downloads = driver, downloads

    def show(self, path: Path, size: tuple[int, int] = WIDE, *, dark: bool = False) -> None:
        """Open a file in a window of that size, in light or dark colours."""
        sized = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sized)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})
        self.driver.get(path.as_uri())

    def reload(self) -> None:
        """Open the same file again."""
        self.run("window.before = true")
        self.driver.refresh()
        self.wait("return !window.before && document.readyState === 'complete'")

    def press(self, keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=0).send_keys(keys).perform()

    def run(self, script: str, *values: object) -> Any:  # noqa: ANN401
        """What a script returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, script: str, *values: object) -> Any:  # noqa: ANN401
        """What a script returns as soon as it is something."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 20, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(script, *values)
        )

    def saved(self, name: str) -> bytes:
        """A file that the page has saved, and that is taken away again."""
        from selenium.webdriver.support.wait import WebDriverWait

        path = self.downloads / name
        WebDriverWait(self.driver, 20, poll_frequency=0.05).until(lambda _: path.exists())
        content = path.read_bytes()
        path.unlink()
        return content

    def faults(self) -> list[str]:
        """What the browser has said since it was asked last: errors of scripts, and what the page's policy refused."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("Chromium and its chromedriver are not installed; Debian has both")
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = Options()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        started = webdriver.Chrome(options=options, service=Service(driver))
        try:
            started.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
            yield Browser(started, Path(folder))
        finally:
            started.quit()
