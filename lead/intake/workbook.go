package intake

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Limits of a workbook. Excel itself writes neither so many sheets nor so dense a file.
const (
	mostSheets       = 1000
	mostDirectory    = 4 << 20 // bytes of the archive's table of contents
	largestPart      = 2 << 30 // bytes of one part, unpacked; a million rows of ten columns are less than one
	largestBook      = 5 << 30 // bytes of all parts that are read
	freelyDense      = 16 << 20
	densestPart      = 250 // bytes that one packed byte may become, in parts larger than freelyDense
	errDamagedFormat = "the workbook is damaged; open it in a spreadsheet and save it again"
)

// workbook is an XLSX file. Parts are read from f as they are needed; in memory are the texts that cells share.
type workbook struct {
	parts   map[string]*zip.File // by name in small letters
	sheets  []sheet
	styles  styles
	strings *sharedStrings
	in1904  bool   // days are counted from 1904
	read    uint64 // bytes of the parts that were opened, unpacked
}

// sheet is a table of a workbook.
type sheet struct {
	name, part string
	hidden     bool
}

func damaged(err error) error {
	if errors.Is(err, ErrFile) {
		return err
	}
	var own *readError
	if errors.As(err, &own) {
		return own.err
	}
	return fmt.Errorf("%w: %s", ErrFile, errDamagedFormat)
}

// meteredAt tells errors of the reader from those of the archive, and ends the reading of a table of contents that is
// far too long: archive/zip would hold all of it.
type meteredAt struct {
	in   io.ReaderAt
	left int64 // bytes that may yet be read; below 0: no limit
}

// readError is the reader's own.
type readError struct{ err error }

// Error is the reader's.
func (e *readError) Error() string { return e.err.Error() }

// ReadAt is io.ReaderAt.
func (m *meteredAt) ReadAt(p []byte, off int64) (int, error) {
	if m.left >= 0 {
		if m.left -= int64(len(p)); m.left < 0 {
			m.left = 0
			return 0, fmt.Errorf("%w: it is an archive of far too many files", ErrFile)
		}
	}
	if off < 0 { // as an archive may say that is damaged
		return 0, io.ErrUnexpectedEOF
	}
	n, err := m.in.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = &readError{err}
	}
	return n, err
}

// openWorkbook reads what describes the workbook, not yet its sheets.
func openWorkbook(f io.ReaderAt, size int64) (*workbook, error) {
	meter := &meteredAt{in: f, left: mostDirectory}
	archive, err := zip.NewReader(meter, size)
	if err != nil {
		return nil, damaged(err)
	}
	meter.left = -1
	w := &workbook{parts: map[string]*zip.File{}}
	for _, part := range archive.File {
		w.parts[partName(part.Name)] = part
	}
	if err := w.refuseOthers(); err != nil {
		return nil, err
	}
	if err := w.describe(); err != nil {
		return nil, damaged(err)
	}
	return w, nil
}

// partName is how parts are looked up: some programs write backslashes, and case does not count.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "/"))
}

// packedOthers are archives that are no workbook of ours, by a part that they have.
var packedOthers = []struct{ part, says string }{
	{"xl/workbook.bin", "it is a binary workbook (.xlsb); save it as .xlsx or CSV"},
	{"word/document.xml", "it is a text document; save the table in it as .xlsx or CSV"},
	{"ppt/presentation.xml", "it is a presentation; save the table in it as .xlsx or CSV"},
	{"content.xml", "it is an OpenDocument file (.ods); save it as .xlsx or CSV"},
	{"index/document.iwa", "it is of Apple Numbers; export it as .xlsx or CSV"},
	{"index.zip", "it is of Apple Numbers; export it as .xlsx or CSV"},
}

func (w *workbook) refuseOthers() error {
	if w.parts["xl/workbook.xml"] != nil || w.mainPart() != "" {
		return nil
	}
	for _, o := range packedOthers {
		if w.parts[o.part] != nil {
			return fmt.Errorf("%w: %s", ErrFile, o.says)
		}
	}
	return fmt.Errorf("%w: it is a zip archive; unpack it and send the table that is in it", ErrFile)
}

// open unpacks a part. One that is packed as no text is, is refused.
func (w *workbook) open(name string) (io.ReadCloser, error) {
	part := w.parts[partName(name)]
	switch {
	case part == nil:
		return nil, fmt.Errorf("%w: %s", ErrFile, errDamagedFormat)
	case part.Flags&1 != 0:
		return nil, fmt.Errorf("%w: it is protected by a password; remove that and save it again", ErrFile)
	case part.UncompressedSize64 > largestPart, w.read+part.UncompressedSize64 > largestBook,
		part.UncompressedSize64 > freelyDense && part.UncompressedSize64/densestPart > part.CompressedSize64:
		return nil, fmt.Errorf("%w: unpacked it would be far too large; save the table as CSV", ErrFile)
	}
	w.read += part.UncompressedSize64 // archive/zip reads no more than that
	return part.Open()
}

// each reads the elements of a part that is there; one that is missing has none.
func (w *workbook) each(name string, start func(e element) error) error {
	if w.parts[partName(name)] == nil {
		return nil
	}
	part, err := w.open(name)
	if err != nil {
		return err
	}
	defer part.Close()
	x := newElements(part)
	for {
		e, err := x.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if e.start {
			if err := start(e); err != nil {
				return err
			}
		}
	}
}

// mainPart is the part that the archive calls its document, "" if it calls none so.
func (w *workbook) mainPart() (name string) {
	_ = w.each("_rels/.rels", func(e element) error {
		if e.name == "Relationship" && strings.HasSuffix(e.get("Type"), "/officeDocument") {
			name = partName(e.get("Target"))
		}
		return nil
	})
	if !strings.HasPrefix(path.Base(name), "workbook") || w.parts[name] == nil {
		return ""
	}
	return name
}

// describe reads the list of sheets, the styles and the shared texts.
func (w *workbook) describe() error {
	main := w.mainPart()
	if main == "" {
		main = "xl/workbook.xml"
	}
	related, err := w.related(main)
	if err != nil {
		return err
	}
	if err := w.listSheets(main, related); err != nil {
		return err
	}
	if w.styles, err = w.readStyles(related.first("/styles")); err != nil {
		return err
	}
	w.strings, err = w.readStrings(related.first("/sharedStrings"))
	return err
}

// relation is a part that another one names.
type relation struct{ id, kind, part string }

type relations []relation

// first is the part of a kind, "" if there is none.
func (r relations) first(kind string) string {
	i := slices.IndexFunc(r, func(r relation) bool { return strings.HasSuffix(r.kind, kind) })
	if i < 0 {
		return ""
	}
	return r[i].part
}

// related reads what a part refers to.
func (w *workbook) related(main string) (all relations, err error) {
	folder, base := path.Split(main)
	err = w.each(folder+"_rels/"+base+".rels", func(e element) error {
		if e.name != "Relationship" {
			return nil
		}
		target := strings.ReplaceAll(e.get("Target"), `\`, "/")
		if !strings.HasPrefix(target, "/") {
			target = folder + target
		}
		all = append(all, relation{e.get("Id"), e.get("Type"), strings.TrimPrefix(path.Clean(target), "/")})
		if len(all) > 10*mostSheets {
			return fmt.Errorf("%w: it has more than %d sheets", ErrFile, mostSheets)
		}
		return nil
	})
	return all, err
}

func (w *workbook) listSheets(main string, related relations) error {
	return w.each(main, func(e element) error {
		switch e.name {
		case "workbookPr":
			w.in1904 = isTrue(e.get("date1904"))
		case "sheet":
			i := slices.IndexFunc(related, func(r relation) bool { return r.id == e.get("id") })
			if i < 0 || !strings.HasSuffix(related[i].kind, "/worksheet") {
				return nil // a chart
			}
			hidden := strings.HasSuffix(strings.ToLower(e.get("state")), "hidden") // or veryHidden
			w.sheets = append(w.sheets, sheet{e.get("name"), related[i].part, hidden})
			if len(w.sheets) > mostSheets {
				return fmt.Errorf("%w: it has more than %d sheets", ErrFile, mostSheets)
			}
		}
		return nil
	})
}

func isTrue(s string) bool { return s == "1" || s == "true" }
