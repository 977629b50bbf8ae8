# SPDX-License-Identifier: Apache-2.0
"""Optional window that shows the screen (``openkpu script --window``)."""

from __future__ import annotations

from openkpu.errors import UsageError


class Window:
    """A tkinter window; closing it ends the script.

    Raises
    ------
    UsageError
        No tkinter or no display.
    """

    def __init__(self, owner):
        try:
            import tkinter
        except ImportError:
            raise UsageError("--window needs tkinter (Debian: python3-tk); without it frames are PNG files") from None
        try:
            root = tkinter.Tk()
        except tkinter.TclError as error:
            raise UsageError(f"--window found no display ({error}); without --window frames are PNG files") from None
        self._root: tkinter.Tk | None = root
        self._owner = owner
        self._open = True
        root.title("OpenKPU")
        root.protocol("WM_DELETE_WINDOW", self._closed)
        self._label = tkinter.Label(root)
        self._label.pack()

    def _closed(self) -> None:
        self._open = False

    def show(self, picture) -> None:
        """Show a Pillow picture; ends the script if the user has closed the window."""
        from PIL import ImageTk

        self._photo = ImageTk.PhotoImage(picture)
        self._label.configure(image=self._photo)
        if self._root is not None:
            self._root.update()
        if not self._open:
            self.close()
            self._owner.end("the window was closed")

    def close(self) -> None:
        """Close the window; twice is harmless."""
        if self._root is not None:
            self._root.destroy()
            self._root = None
