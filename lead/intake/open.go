package intake

import (
	"bufio"
	"io"
)

// Open reads as far as the header of a table. What the file is, CSV or a workbook, is told by its content and never by
// a name. The error wraps ErrFile with a sentence for whoever sent it, or is the reader's own.
func Open(f io.ReaderAt, size int64, o Options) (*Table, error) {
	start := make([]byte, min(size, looked))
	if n, err := f.ReadAt(start, 0); err != nil && !(err == io.EOF && n == len(start)) {
		return nil, err
	}
	return openCSV(bufio.NewReaderSize(io.NewSectionReader(f, 0, size), looked), charsetOf(start), o)
}
