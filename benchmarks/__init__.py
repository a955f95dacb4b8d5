"""What PromptStudio costs, beside `llm` in the same minutes on the same machine. docs/benchmarks.md has figures."""
