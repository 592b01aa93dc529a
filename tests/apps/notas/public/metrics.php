<?php
require '/srv/db.php';

header('Content-Type: text/plain; version=0.0.4');
echo "# HELP http_requests_total Pages served.\n# TYPE http_requests_total counter\n";
foreach (db()->query('SELECT page, number FROM visits') as $visit) {
    echo "http_requests_total{page=\"{$visit['page']}\"} {$visit['number']}\n";
}
