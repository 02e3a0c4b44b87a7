"""The dashboard: the queue in a browser, for the person on call.

``reads`` asks the store and returns values, without knowing of Streamlit; ``screens`` shows them. Nothing else of
queuectl imports this package but the command that starts it.
"""
