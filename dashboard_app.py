"""`streamlit run dashboard_app.py` shows the queue that this folder's settings lead to, for looking only."""

import streamlit as st

from queuectl.dashboard.launch import MIDDLEWARE, SHELL, announce

announce()
app = st.App(SHELL, middleware=MIDDLEWARE)
