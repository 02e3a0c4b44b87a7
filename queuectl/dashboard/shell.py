"""What stands around every page: the way to the others, which queue it is, and whether it is looked at live."""

from pathlib import Path
from typing import Final

import streamlit as st

from queuectl import __version__
from queuectl.dashboard.session import shown
from queuectl.dashboard.words import quoted

HERE: Final = Path(__file__).parent
PAGES: Final = {
    "Overview": ":material/monitor_heart:",
    "Runs": ":material/list_alt:",
    "Run": ":material/description:",
    "Jobs": ":material/work:",
    "Schedule": ":material/calendar_month:",
    "DLQ": ":material/skull:",
    "Applies": ":material/published_with_changes:",
}
HIDDEN: Final = {"Run"}


def main() -> None:
    """Show the page that is asked for, and what stands around it."""
    st.set_page_config(
        page_title="queuectl",
        page_icon=str(HERE / "icon.png"),
        layout="wide",
        menu_items={"About": f"queuectl {__version__}"},
    )
    pages = {
        name: st.Page(
            HERE / "screens" / f"{name.lower()}.py",
            title=name,
            icon=icon,
            url_path=name.lower(),
            default=name == "Overview",
            visibility="hidden" if name in HIDDEN else "visible",
        )
        for name, icon in PAGES.items()
    }
    st.session_state["pages"] = pages
    st.logo(str(HERE / "icon.png"), size="large")
    chosen = st.navigation(list(pages.values()))
    with st.sidebar:
        st.toggle(
            "Live", value=True, key="live", help="Draw what is shown anew every few seconds.", persist_state="session"
        )
        if shown().allows_actions:
            st.badge("actions allowed", icon=":material/bolt:", color="orange")
        else:
            st.badge("read-only", icon=":material/visibility:", color="gray")
        st.caption(quoted(shown().settings.db.name), help=quoted(str(shown().settings.db)))
    if shown().allows_actions:
        from queuectl.dashboard.acting import tell

        tell()
    chosen.run()


if __name__ == "__main__":  # as Streamlit runs a script
    main()
