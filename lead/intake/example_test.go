package intake_test

import (
	"fmt"
	"strings"

	"github.com/leadmill/leadmill/lead/intake"
)

func ExampleParse() {
	s, reasons := intake.Parse([]byte(`{"E-Mail": "ada@example.com", "Vorname": "Ada", "shoe": 38}`), nil)
	fmt.Println(s.Fields["email"], s.Fields["first_name"], s.Extra["shoe"], len(reasons))
	// Output: ada@example.com Ada 38 0
}

func ExampleOpen() {
	file := strings.NewReader("E-Mail;Name\nada@example.com;Ada\n")
	rows, err := intake.Open(file, file.Size(), intake.Options{})
	if err != nil {
		panic(err)
	}
	cells, err := rows.Next()
	fmt.Println(string(intake.RowPayload(rows.Header(), cells)), err)
	// Output: {"E-Mail":"ada@example.com","Name":"Ada"} <nil>
}
