package web

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/intake"
)

// Limits of an upload.
const (
	importMaxBytes = 512 << 20        // of a file, unless Config says otherwise
	formSlack      = 64 << 10         // bytes of a form around its file
	uploadPause    = 30 * time.Second // in which nothing comes, or nobody takes what is sent
	uploadLook     = 5 * time.Minute  // for a look at what has come: of a workbook all texts are read
)

// uploadSource is where files come from if nobody says it.
const uploadSource = "upload"

// uploaded is a form with a file, read as far as the file's first byte.
type uploaded struct {
	source, name string
	body         io.Reader
}

// openUpload reads the fields before the file. The error is a sentence for who sent it.
func openUpload(form *multipart.Reader) (u uploaded, err error) {
	u.source = uploadSource
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			return u, errNoFile
		}
		if err != nil {
			return u, errors.Join(errForm, err)
		}
		switch part.FormName() {
		case "source":
			name, err := io.ReadAll(io.LimitReader(part, formSlack))
			if err != nil {
				return u, err
			}
			if text := strings.TrimSpace(string(name)); text != "" {
				u.source = text
			}
		case "file":
			if part.FileName() == "" {
				return u, errNoFile
			}
			u.name, u.body = part.FileName(), part
			if !jobs.ValidName(u.source) {
				return u, errSourceName
			}
			return u, nil
		}
	}
}

// What is wrong with an upload, for who sent it.
var (
	errNoFile     = errors.New("choose a file first")
	errForm       = errors.New("the form cannot be read")
	errSourceName = fmt.Errorf("a source's name is 1 to %d letters, digits and signs without blanks and slashes", jobs.LongestName)
)

// takeUpload streams a file into the database and leads to where it is looked at.
func (s *Server) takeUpload(w http.ResponseWriter, r *http.Request) {
	v := s.read(r, mayOperate, nothing)
	if v.err != nil {
		s.fail(w, v)
		return
	}
	id, existed, err := s.receiveFile(w, r)
	if said := complaint(err, s.importLimit()); said != "" {
		s.showImports(w, r, http.StatusUnprocessableEntity, said)
		return
	}
	if v.err = err; err != nil {
		s.fail(w, v)
		return
	}
	notice := "uploaded"
	if existed {
		notice = "existed"
	}
	s.log.Info("file taken", "import", id, "existed", existed, "user", v.user.ID)
	http.Redirect(w, r, fmt.Sprintf("/imports/%d?notice=%s", id, notice), http.StatusSeeOther)
}

func (s *Server) receiveFile(w http.ResponseWriter, r *http.Request) (id int64, existed bool, err error) {
	body := &lively{r.Body, http.NewResponseController(w), uploadPause}
	r.Body = http.MaxBytesReader(w, body, s.importLimit()+formSlack)
	form, err := r.MultipartReader()
	if err != nil {
		return 0, false, errNoFile
	}
	u, err := openUpload(form)
	if err != nil {
		return 0, false, err
	}
	return s.queue.ReceiveFile(r.Context(), jobs.File{Source: u.source, Name: u.name, Body: u.body, Limit: s.importLimit(), Hold: true})
}

func (s *Server) importLimit() int64 {
	if s.config.ImportMaxBytes > 0 {
		return s.config.ImportMaxBytes
	}
	return importMaxBytes
}

// complaint is what is wrong with a file, as a sentence; "" if the file is not at fault.
func complaint(err error, limit int64) string {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, jobs.ErrTooLarge):
		return fmt.Sprintf("The file is too large: at most %s are taken.", bytesText(limit))
	case errors.Is(err, errForm):
		return asSentence(errForm.Error())
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "The file broke off on its way here: send it again."
	case errors.Is(err, intake.ErrFile), errors.Is(err, errNoFile), errors.Is(err, errSourceName):
		return asSentence(err.Error())
	}
	return ""
}

func asSentence(text string) string {
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// bytesText is a size in the largest whole unit.
func bytesText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// lively is a body that may take its time, as long as something comes.
type lively struct {
	io.ReadCloser
	connection *http.ResponseController
	pause      time.Duration
}

// Read is io.Reader.
func (l *lively) Read(p []byte) (int, error) {
	at := time.Now().Add(l.pause)
	_ = l.connection.SetReadDeadline(at) // a writer that has none needs none
	_ = l.connection.SetWriteDeadline(at.Add(uploadLook))
	return l.ReadCloser.Read(p)
}
