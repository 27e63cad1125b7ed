package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path/filepath"
	"sync"
	"time"
)

//go:embed static
var staticFiles embed.FS

// asset is a static file, tagged with a hash of its bytes.
type asset struct {
	body []byte
	tag  string
}

var assets = sync.OnceValue(loadAssets)

func loadAssets() map[string]asset {
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err) // embedded
	}
	all := map[string]asset{}
	for _, f := range files {
		body, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		all[f.Name()] = asset{body, hex.EncodeToString(sum[:8])}
	}
	return all
}

// static serves a file; asked for by its tag it may be kept for a year, because the tag changes with the file.
func static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := assets()[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Etag", `"`+a.tag+`"`)
	if kind := mime.TypeByExtension(filepath.Ext(name)); kind != "" {
		h.Set("Content-Type", kind)
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
}
