"""Reports: the numbers of a period in sections, written as JSON, CSV, workbook, HTML, PDF and mail."""
