package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v10"
	"github.com/joho/godotenv"
)

// settings come from flags over the environment over .env over the defaults here.
type settings struct {
	DatabaseURL     string        `env:"DATABASE_URL" envDefault:"sqlite:///./leads.db" secret:"url"`
	PoolSize        int           `env:"DB_POOL_SIZE" envDefault:"20"`            // connections kept open
	MaxOverflow     int           `env:"DB_MAX_OVERFLOW" envDefault:"40"`         // more at the peak
	PoolRecycle     int           `env:"DB_POOL_RECYCLE" envDefault:"3600"`       // seconds
	PoolPrePing     bool          `env:"DB_POOL_PRE_PING" envDefault:"true"`      //
	ConnectAttempts int           `env:"DB_CONNECT_ATTEMPTS" envDefault:"5"`      //
	ConnectDelay    time.Duration `env:"DB_CONNECT_DELAY" envDefault:"2s"`        //
	Debug           bool          `env:"DEBUG" envDefault:"false"`                // log every statement
	LogLevel        string        `env:"LOG_LEVEL" envDefault:"info"`             //
	LogFormat       string        `env:"LOG_FORMAT" envDefault:"auto"`            // json, console, or auto: console on a terminal
	Addr            string        `env:"ADDR"`                                    // of web; host:port
	Port            string        `env:"PORT"`                                    // of web, on all addresses, where ADDR is not set
	WorkerHTTPAddr  string        `env:"WORKER_HTTP_ADDR"`                        // health and metrics of worker; "" none
	Concurrency     int           `env:"WORKER_CONCURRENCY" envDefault:"0"`       // jobs at once; 0: as many as suit the database
	ImportMaxBytes  int           `env:"IMPORT_MAX_BYTES" envDefault:"536870912"` // of a file that is uploaded to web
	InsecureCookies bool          `env:"INSECURE_COOKIES" envDefault:"false"`     // log-in over plain HTTP
}

// load reads the settings and makes the log.
func (a *app) load() error {
	values, origins, err := a.sources()
	if err != nil {
		return err
	}
	a.origins = origins
	if err := env.ParseWithOptions(&a.settings, env.Options{Environment: values}); err != nil {
		return settingError(err)
	}
	if err := a.settings.check(); err != nil {
		return err
	}
	a.log, err = newLog(a.settings, a.stderr)
	return err
}

// sources merges where settings come from, and remembers where each did.
func (a *app) sources() (values, origins map[string]string, err error) {
	values, origins = map[string]string{}, map[string]string{}
	put := func(origin, name, value string) {
		if value != "" {
			values[name], origins[name] = value, origin
		}
	}
	file, err := godotenv.Read(".env")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, usagef(".env cannot be read: want lines of NAME=value")
	}
	for name, value := range file {
		put(".env", name, value)
	}
	for _, pair := range a.environ {
		name, value, _ := strings.Cut(pair, "=")
		put("environment", name, value)
	}
	put("flag", "DATABASE_URL", a.flags.databaseURL)
	put("flag", "LOG_LEVEL", a.flags.logLevel)
	return values, origins, nil
}

// settingError names the variable that does not parse, and not its value.
func settingError(err error) error {
	var all env.AggregateError
	var one env.ParseError
	if errors.As(err, &all) {
		for _, e := range all.Errors {
			if errors.As(e, &one) {
				break
			}
		}
	}
	field, ok := reflect.TypeFor[settings]().FieldByName(one.Name)
	if !ok {
		return usagef("the settings cannot be read")
	}
	return usagef("%s cannot be read: want %s", field.Tag.Get("env"), wanted(field.Type))
}

func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a time such as 2s or 500ms"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	}
	return "text"
}

func (s settings) check() error {
	atLeast := func(name string, value, least int) error {
		if value < least {
			return usagef("%s is %d, want at least %d", name, value, least)
		}
		return nil
	}
	return errors.Join(
		atLeast("DB_POOL_SIZE", s.PoolSize, 1), atLeast("DB_MAX_OVERFLOW", s.MaxOverflow, 0),
		atLeast("DB_POOL_RECYCLE", s.PoolRecycle, 1), atLeast("DB_CONNECT_ATTEMPTS", s.ConnectAttempts, 1),
		atLeast("WORKER_CONCURRENCY", s.Concurrency, 0),
		atLeast("IMPORT_MAX_BYTES", s.ImportMaxBytes, 1),
	)
}

// address is where web listens.
func (s settings) address() string {
	switch {
	case s.Addr != "":
		return s.Addr
	case s.Port != "":
		return net.JoinHostPort("0.0.0.0", s.Port)
	}
	return "127.0.0.1:8080"
}

// shown is a setting as it may be seen: without secrets.
func shown(field reflect.StructField, value any) string {
	text := fmt.Sprint(value)
	if field.Tag.Get("secret") == "url" {
		return withoutPassword(text)
	}
	return text
}

// withoutPassword masks what stands between the user and the host of a URL, and its parameters, which may hold a
// password as well.
func withoutPassword(url string) string {
	url, _, _ = strings.Cut(url, "?")
	scheme, rest, ok := strings.Cut(url, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return url
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	if hasPassword {
		user += ":***"
	}
	return scheme + "://" + user + rest[at:]
}
