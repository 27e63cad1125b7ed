package jobs

import (
	"testing"
	"time"

	"github.com/leadmill/leadmill/schema"
)

func TestASourceMaySendItsRateAndItsBurst(t *testing.T) {
	l := schema.SourceLimits{Rate: 10, Burst: 3}
	m := schema.Meter{Now: 1_000_000_000}
	taken := 0
	for range 1000 { // ten seconds in steps of ten milliseconds, and always more than may come
		for {
			after, over := spend(l, m, 1)
			if over != nil {
				if over.Wait <= 0 || over.Wait > 100*time.Millisecond || over.Day {
					t.Fatalf("over %+v, want a wait of one interval at most", over)
				}
				break
			}
			m = after
			taken++
		}
		m.Now += 10_000
	}
	if taken < 102 || taken > 103 {
		t.Errorf("%d leads in ten seconds, want 100 and the burst of 3", taken)
	}
}

func TestABatchIsTakenWholeAndPaidFor(t *testing.T) {
	m, over := spend(schema.SourceLimits{Rate: 10}, schema.Meter{Now: 5_000_000}, 500)
	if over != nil {
		t.Fatal(over)
	}
	_, over = spend(schema.SourceLimits{Rate: 10}, m, 1)
	if want := 50*time.Second - 900*time.Millisecond; over == nil || over.Wait != want {
		t.Errorf("after a batch of 500 at 10 a second: %+v, want to wait %s", over, want)
	}
}

func TestADayEndsAtMidnight(t *testing.T) {
	l := schema.SourceLimits{PerDay: 5}
	m, over := spend(l, schema.Meter{Now: 20_000*day - 2_000_000, Day: 19_998, Taken: 99}, 4)
	if over != nil || m.Taken != 4 {
		t.Fatalf("the first four of a day: %+v, %v", m, over)
	}
	if _, over = spend(l, m, 2); over == nil || !over.Day || over.Wait != 2*time.Second || over.Room != 1 {
		t.Errorf("two where one may come: %+v, want room for one or to wait for midnight", over)
	}
	m.Now += 2_000_000
	if m, over = spend(l, m, 5); over != nil || m.Taken != 5 {
		t.Errorf("the day after: %+v, %v", m, over)
	}
}
