<?php
// The connection, and what is counted.
const VERSION = '1';

function db(): PDO
{
    $password = rtrim(file_get_contents(getenv('DB_PASSWORD_FILE')));
    $host = getenv('DB_HOST');
    return new PDO("mysql:host=$host;dbname=notas;charset=utf8mb4", 'notas', $password, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}
