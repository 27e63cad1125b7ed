package intake

import (
	"bufio"
	"bytes"
	"io"
)

// Open reads as far as the header of a table. What the file is, CSV or a workbook, is told by its content and never by
// a name. The error wraps ErrFile with a sentence for whoever sent it, or is the reader's own.
func Open(f io.ReaderAt, size int64, o Options) (*Table, error) {
	start, err := stretch(f, size, 0)
	if err != nil {
		return nil, err
	}
	if err := refuse(start); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(start, []byte(zipStart)) {
		return openXLSX(f, size, o)
	}
	found, err := charsetIn(f, size, start)
	if err != nil {
		return nil, err
	}
	return openCSV(bufio.NewReaderSize(io.NewSectionReader(f, 0, size), looked), found, o)
}

// stretch reads what is looked at of a file from a place on.
func stretch(f io.ReaderAt, size, from int64) ([]byte, error) {
	b := make([]byte, max(0, min(size-from, looked)))
	n, err := f.ReadAt(b, from)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}
