package intake

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// magics are how files begin that people send in place of a table, and what is said to them.
var magics = []struct{ start, says string }{
	{"%PDF", "it is a PDF; save the table that it was made from as CSV or .xlsx"},
	{"\x1F\x8B", "it is packed with gzip; unpack it and send what is in it"},
	{"BZh", "it is packed with bzip2; unpack it and send what is in it"},
	{"\xFD7zXZ\x00", "it is packed with xz; unpack it and send what is in it"},
	{"\x28\xB5\x2F\xFD", "it is packed with zstd; unpack it and send what is in it"},
	{"7z\xBC\xAF\x27\x1C", "it is a 7z archive; unpack it and send the table that is in it"},
	{"Rar!", "it is a RAR archive; unpack it and send the table that is in it"},
	{"\x89PNG", "it is an image; we need the table itself, as CSV or .xlsx"},
	{"\xFF\xD8\xFF", "it is an image; we need the table itself, as CSV or .xlsx"},
	{"GIF8", "it is an image; we need the table itself, as CSV or .xlsx"},
	{"II*\x00", "it is an image; we need the table itself, as CSV or .xlsx"},
	{"MM\x00*", "it is an image; we need the table itself, as CSV or .xlsx"},
	{"{\\rtf", "it is a text document; save the table in it as CSV or .xlsx"},
	{"SQLite format 3\x00", "it is a database; export the table in it as CSV"},
	{"PAR1", "it is a Parquet file; export it as CSV"},
	{"\x7FELF", "it is a program"},
	{"MZ\x90\x00", "it is a program"},
	{"BEGIN:VCARD", "it holds visiting cards (vCard); export the contacts as CSV"},
}

// pages are how text files begin that are no CSV; white space in front and case do not count.
var pages = []struct{ start, says string }{
	{"<!doctype html", "it is a web page, whatever its name says; open it in a spreadsheet and save it as .xlsx or CSV"},
	{"<html", "it is a web page, whatever its name says; open it in a spreadsheet and save it as .xlsx or CSV"},
	{"<table", "it is a web page, whatever its name says; open it in a spreadsheet and save it as .xlsx or CSV"},
	{"<meta", "it is a web page, whatever its name says; open it in a spreadsheet and save it as .xlsx or CSV"},
	{"mime-version:", "it is a web page, whatever its name says; open it in a spreadsheet and save it as .xlsx or CSV"},
	{"<?xml", "it is XML; open it in a spreadsheet and save it as .xlsx or CSV"},
}

// Starts of files that hold others.
const (
	zipStart = "PK\x03\x04"
	zipEmpty = "PK\x05\x06"
	oleStart = "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"
)

// refuse names a file that is certainly no table of ours by its start.
func refuse(start []byte) error {
	for _, m := range magics {
		if bytes.HasPrefix(start, []byte(m.start)) {
			return fmt.Errorf("%w: %s", ErrFile, m.says)
		}
	}
	if bytes.HasPrefix(start, []byte(zipEmpty)) {
		return fmt.Errorf("%w: it is an empty archive", ErrFile)
	}
	if bytes.HasPrefix(start, []byte(oleStart)) {
		return fmt.Errorf("%w: %s", ErrFile, sayOLE(start))
	}
	return nil
}

// refusePage names text that is no table, once it is decoded.
func refusePage(text []byte) error {
	first := strings.ToLower(strings.TrimSpace(string(text[:min(len(text), 256)])))
	for _, p := range pages {
		if strings.HasPrefix(first, p.start) {
			return fmt.Errorf("%w: %s", ErrFile, p.says)
		}
	}
	if jsonPattern.MatchString(first) {
		return fmt.Errorf("%w: it is JSON; leads in JSON are posted to the API, in batches", ErrFile)
	}
	return nil
}

var jsonPattern = regexp.MustCompile(`^(\[\s*)?\{\s*"`)

// sayOLE tells a workbook behind a password from an old one: both are OLE containers, and name their streams in UTF-16.
func sayOLE(start []byte) string {
	if bytes.Contains(start, []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00")) {
		return "it is protected by a password; remove that in Excel and save it again"
	}
	return "it is of the old Excel format (.xls) or another old Office file; save it as .xlsx or CSV"
}
