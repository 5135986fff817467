"""Pathscope: which component wrote this answer, who told whom, and which paths are the mechanism."""

import streamlit as st

if __name__ == "__main__":  # Streamlit runs this file for each visit,
    from pages.shared.experiment import draw_sidebar
    from pages.shared.navigation import leaves
    from pages.shared.turn import turn

    # First: else the navigation gives the tab the page's icon, for which the browser asks a foreign host.
    st.set_page_config(page_icon="🔬", layout="wide")

    # The sidebar draws the links: they take the view along. It is drawn here, and no page's own: so it stands
    # while another page comes.
    page = st.navigation(
        [
            st.Page(leaf.file, title=leaf.title, icon=leaf.icon, default=number == 0)
            for number, leaf in enumerate(leaves())
        ],
        position="hidden",
    )
    st.set_page_config(page_title=f"{page.title} · Pathscope")
    with turn():
        draw_sidebar()
        page.run()
else:  # and the server imports it once, before it serves.
    from pages.shared.door import MIDDLEWARE, ROUTES, check_settings, opened

    check_settings()
    app = st.App(__file__, lifespan=opened, middleware=MIDDLEWARE, routes=ROUTES)
