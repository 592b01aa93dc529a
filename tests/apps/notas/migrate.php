<?php
// Brings the tables to what this release needs. It only adds, so that the release before goes on.
require __DIR__ . '/db.php';

$db = db();
$db->exec('CREATE TABLE IF NOT EXISTS migrations (number INT PRIMARY KEY)');
$done = $db->query('SELECT number FROM migrations')->fetchAll(PDO::FETCH_COLUMN);
$steps = [
    1 => 'CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(500) NOT NULL)',
    2 => 'CREATE TABLE visits (page VARCHAR(50) PRIMARY KEY, number BIGINT NOT NULL)',
];
foreach ($steps as $number => $step) {
    if (!in_array($number, $done)) {
        $db->exec($step);
        $db->prepare('INSERT INTO migrations VALUES (?)')->execute([$number]);
        echo "migration $number\n";
    }
}
