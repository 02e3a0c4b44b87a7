"""The pages. Each file is a script that Streamlit runs from top to bottom whenever its page is shown."""
