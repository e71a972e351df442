"""Workflows and what runs them: the only package that knows LangGraph and LangChain."""
